import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResultCache } from '../../../../src/network/cni/cache.ts';
import type { Attachment } from '../../../../src/network/cni/types.ts';

const TEXT = '{"name":"net","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}';
const attachment: Attachment = {
  network: {
    name: 'net',
    cniVersion: '1.0.0',
    disableCheck: false,
    disableGC: false,
    plugins: [{ type: 'bridge' }],
    source: '',
    text: TEXT,
  },
  containerId: 'ab-cd',
  netns: '/run/netns/x',
  ifName: 'eth0',
  args: [['IgnoreUnknown', '1']],
  capabilityArgs: { portMappings: [{ hostPort: 1 }] },
};
const key = { network: 'net', containerId: 'ab-cd', ifName: 'eth0' };
const result = { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] };

describe('the result cache', () => {
  let dir: string;
  let results: string;
  let cache: ResultCache;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'brt-cache-'));
    results = join(dir, 'cni', 'results');
    cache = new ResultCache(join(dir, 'cni'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("is a file in libcni's format, closed to others", async () => {
    await cache.write(attachment, result);
    assert.deepEqual(await readdir(results), ['net-ab-cd-eth0']);
    const file = join(results, 'net-ab-cd-eth0');
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
      kind: 'cniCacheV1',
      containerId: 'ab-cd',
      config: Buffer.from(TEXT).toString('base64'),
      ifName: 'eth0',
      networkName: 'net',
      netns: '/run/netns/x',
      cniArgs: [['IgnoreUnknown', '1']],
      capabilityArgs: { portMappings: [{ hostPort: 1 }] },
      result,
    });
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(results)).mode & 0o777, 0o700);
  });

  it('gives back what was written, until it is deleted', async () => {
    await cache.write(attachment, result);
    assert.deepEqual(await cache.read(key), {
      ...key,
      netns: '/run/netns/x',
      config: TEXT,
      args: [['IgnoreUnknown', '1']],
      capabilityArgs: { portMappings: [{ hostPort: 1 }] },
      result,
    });
    await cache.delete(key);
    assert.equal(await cache.read(key), undefined);
    await cache.delete(key);
  });

  it('takes an empty or damaged file for none, and a bare result of an old libcni for a result', async () => {
    await mkdir(results, { recursive: true });
    const file = join(results, 'net-ab-cd-eth0');
    for (const text of ['', '{"kind":"cniCa', 'null', '[]']) {
      await writeFile(file, text);
      assert.equal(await cache.read(key), undefined, text);
    }
    await writeFile(file, JSON.stringify(result));
    assert.deepEqual((await cache.read(key))?.result, result);
  });

  it('lists the attachments of one network, of whatever runtime, by content and not by name', async () => {
    await cache.write(attachment, result);
    await cache.write({ ...attachment, containerId: 'zz', args: [], capabilityArgs: {}, netns: '' }, result);
    await cache.write({ ...attachment, network: { ...attachment.network, name: 'net-ab' } }, result);
    await writeFile(join(results, 'net-half-eth0'), '');
    await writeFile(join(results, 'other-half-eth0'), '');
    await writeFile(join(results, 'net-x-eth0.1-1.tmp'), '{');
    const { entries, unreadable } = await cache.list('net');
    assert.deepEqual(
      entries.map((entry) => entry.containerId),
      ['ab-cd', 'zz'],
    );
    assert.deepEqual(unreadable, ['net-half-eth0']);
    assert.deepEqual(
      (await cache.all()).map((entry) => entry.containerId),
      ['ab-cd', 'ab-cd', 'zz'],
    );
  });

  it('sweeps what cut off writes left, but none that may be under way, nor what others made', async () => {
    await cache.write(attachment, result);
    const names = ['net-a-eth0.71-0-3.tmp', 'net-b-eth0.71-0-4.tmp', 'net-c-eth0.tmp'];
    for (const name of names) await writeFile(join(results, name), '{');
    const longAgo = Date.now() / 1_000 - 61;
    for (const name of [names[0]!, names[2]!, 'net-ab-cd-eth0'])
      await utimes(join(results, name), longAgo, longAgo);
    await cache.sweep();
    assert.deepEqual((await readdir(results)).sort(), ['net-ab-cd-eth0', names[1], names[2]]);
  });

  it('lists nothing when there is no directory, and finds nothing to sweep', async () => {
    assert.deepEqual(await cache.list('net'), { entries: [], unreadable: [] });
    await cache.sweep();
  });

  it('lets no name lead out of its directory', async () => {
    for (const bad of [
      { containerId: '../x' },
      { network: '' },
      { ifName: 'a/b' },
      { containerId: 'a\0b' },
    ]) {
      await assert.rejects(cache.read({ ...key, ...bad }), /no cache file for network/);
    }
  });

  it('says what failed when it cannot be written', async () => {
    await writeFile(join(dir, 'cni'), '');
    await assert.rejects(
      cache.write(attachment, result),
      /failed to set network "net" cached result: .*(ENOTDIR|EEXIST)/,
    );
  });
});
