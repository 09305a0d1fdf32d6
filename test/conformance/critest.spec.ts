import assert from 'node:assert/strict';
import { chmod, readdir, readFile, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/lib/package-root.ts';
import { TestDaemon } from '../helpers/daemon.ts';
import { Scratch } from '../helpers/fixture.ts';
import { clearNetwork } from './clear-network.ts';
import { type Outcome, runCritest } from './critest.ts';
import { catalog, DIGEST_IMAGE } from './images/catalog.ts';
import { buildPrograms } from './images/programs.ts';
import { hostsFiles, Registry } from './images/registry.ts';

/** Compiling busybox is most of the first run; critest itself takes two minutes. */
const TIMEOUT_MS = 15 * 60_000;

interface Run {
  readonly outcomes: readonly Outcome[];
  readonly output: string;
}

const CGROUPS = '/sys/fs/cgroup';

const STREAMING = /Streaming/;

describe('critest', () => {
  before(() => {
    assert.equal(process.env['BERTH_PRIVATE_NETWORK'], '1', 'this needs a network namespace of its own');
  });

  after(clearNetwork);

  after(async () => {
    // The parent of pods that name none; only an empty cgroup can be removed.
    for (const hierarchy of ['', ...(await readdir(CGROUPS))])
      await rmdir(join(CGROUPS, hierarchy, 'k8s.io')).catch(() => undefined);
  });

  it('passes all the specs that are listed, and no spec that runs fails, over SPDY and over WebSocket', async function () {
    this.timeout(TIMEOUT_MS);
    const program = process.env['CRITEST'];
    assert.ok(program, 'CRITEST is not set: run this through npm run conformance');
    const listed = await readFile(join(packageRoot(), 'test/conformance/critest-passes.txt'), 'utf8');
    const expected = listed.trimEnd().split('\n');
    const images = catalog(await buildPrograms());

    await using scratch = await Scratch.create();
    await using registry = await Registry.start(images);
    const certs = await hostsFiles(join(scratch.path, 'certs.d'), registry, images.keys());
    // Not on a node of its own: registry, daemon and critest have to meet on loopback.
    await using daemon = await TestDaemon.start({
      config: { containerd: { address: 'embedded', registry_config_path: certs } },
    });
    // Root of a user namespace has to reach the root file systems.
    for (const directory of [tmpdir(), daemon.directory]) await chmod(directory, 0o711);
    const options = {
      program,
      directory: scratch.path,
      socket: daemon.socket,
      imageDigest: images.get(DIGEST_IMAGE)?.digest ?? '',
    };
    const check = async ({ outcomes, output }: Run, listed: readonly string[]): Promise<void> => {
      const passed = outcomes.filter(({ state }) => state === 'passed').map(({ name }) => name);
      const failed = outcomes.filter(({ state }) => state !== 'passed' && state !== 'skipped');
      const tail = `${output.slice(-20_000)}\n${(await daemon.log()).slice(-20_000)}`;
      assert.deepEqual(failed, [], tail);
      assert.deepEqual(passed.sort(), [...listed].sort(), tail);
    };
    const streaming = expected.filter((name) => STREAMING.test(name));
    await check(await runCritest({ ...options, focus: STREAMING, webSocket: true }), streaming);
    await check(await runCritest(options), expected);
  });
});
