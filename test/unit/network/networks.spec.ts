import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../../src/config/schema.ts';
import { ResultCache } from '../../../src/network/cni/cache.ts';
import { Chain } from '../../../src/network/cni/chain.ts';
import { Networks } from '../../../src/network/networks.ts';
import { eventually } from '../../helpers/fixture.ts';
import { quietLogger } from '../../fakes/logger.ts';
import { RecordingInvoke } from './cni/chain/rig.ts';

function conflist(name: string): string {
  return JSON.stringify({ name, cniVersion: '1.0.0', plugins: [{ type: 'bridge' }] });
}

describe('the networks', () => {
  let root: string;
  let networks: Networks | undefined;
  let invoke: RecordingInvoke;
  const withheld = { addresses: ['10.0.0.7'], hostPorts: [] };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'brt-networks-'));
    await mkdir(join(root, 'net.d'));
    invoke = new RecordingInvoke();
  });
  afterEach(async () => {
    networks?.stop();
    await rm(root, { recursive: true });
  });

  async function start(cni: object, runtimes: object = {}): Promise<Networks> {
    const config = configSchema.parse({
      cni: { confDir: join(root, 'net.d'), ...cni },
      containerd: { runtimes: { runc: {}, ...runtimes } },
    });
    const cache = new ResultCache(join(root, 'cache'));
    const chain = new Chain({ invoke, cache, binDirs: [] });
    networks = new Networks({
      ...config,
      ...config.containerd,
      chain,
      withheld: () => withheld,
      log: quietLogger,
    });
    await networks.start();
    return networks;
  }

  it('are asked for their STATUS with what they must not hand out', async () => {
    await writeFile(join(root, 'net.d/a.conflist'), conflist('a'));
    await start({});
    const asked = await eventually('STATUS is asked', () => invoke.requests[0]);
    assert.equal(asked.verb, 'STATUS');
    assert.deepEqual(asked.hints?.withheld, withheld);
  });

  it('of a handler with a directory of its own are as many as it says, or as many as of the common one', async () => {
    const own = join(root, 'own.d');
    await mkdir(own);
    for (const name of ['a', 'b', 'c']) await writeFile(join(own, `${name}.conflist`), conflist(name));
    await writeFile(join(root, 'net.d/common.conflist'), conflist('common'));
    const started = await start(
      { maxConfNum: 2 },
      { one: { cniConfDir: own, cniMaxConfNum: 1 }, same: { cniConfDir: own }, common: { cniMaxConfNum: 1 } },
    );
    const names = (handler: string): string[] => started.active(handler).map(({ name }) => name);
    assert.deepEqual(names('one'), ['a']);
    assert.deepEqual(names('same'), ['a', 'b']);
    assert.deepEqual(names('common'), ['common']);
    assert.deepEqual(names(''), ['common']);
  });

  describe('with a template', () => {
    let started: Networks;

    beforeEach(async () => {
      const confTemplate = join(root, 'template');
      await writeFile(confTemplate, conflist('made'));
      started = await start({ confTemplate });
    });

    it('are made from it when there is none', async () => {
      await started.usePodCidrs(['10.1.0.0/24']);
      assert.deepEqual(await readdir(join(root, 'net.d')), ['10-berth-net.conflist']);
      assert.deepEqual(
        started.active('').map(({ name }) => name),
        ['made'],
      );
    });

    it('are not made from it when one has been put there a moment ago', async () => {
      await writeFile(join(root, 'net.d/20-chosen.conflist'), conflist('chosen'));
      await started.usePodCidrs(['10.1.0.0/24']);
      assert.deepEqual(await readdir(join(root, 'net.d')), ['20-chosen.conflist']);
      assert.deepEqual(
        started.active('').map(({ name }) => name),
        ['chosen'],
      );
    });
  });
});
