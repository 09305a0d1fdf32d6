import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cleanup } from '../../helpers/cleanup.ts';
import { bridgeNetwork, TestDaemon } from '../../helpers/daemon.ts';
import { eventually } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import { berth } from '../cli/run-main.ts';

describe('a node whose subnet changes while its bridge stays', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  it('tells which pods have to go first, and gives the bridge its address once they are gone', async () => {
    const node = cleanup.use(await TestNode.create());
    const daemon = cleanup.use(await TestDaemon.start({ node }));
    const run = (...args: string[]) => berth([...args, '--address', daemon.socket]);
    const start = (name: string) => run('pod', 'run', '--name', name, '-n', 'shop');
    assert.equal((await start('old')).code, 0);

    const moved = bridgeNetwork(daemon.directory, '10.98.0.0/16');
    await writeFile(join(daemon.confDir, '10-test.conflist'), JSON.stringify(moved));
    await eventually('the new subnet is in use', async () => {
      const { stdout } = await run('net', 'show');
      return stdout.includes('10.98.0.0/16') ? true : undefined;
    });
    const refused = await start('new');
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /"brt0" already has an IP address different from 10\.98\.0\.1\/16; in use by pod shop\/old \(veth[0-9a-f]{8}\), which have to go first/,
    );
    assert.equal((await run('pod', 'rm', '-f', 'shop/old')).code, 0);
    const started = await start('new');
    assert.equal(started.code, 0, started.stderr);
    assert.match(await node.run('ip', '-br', 'address', 'show', 'brt0'), / 10\.98\.0\.1\/16 (fe80|$)/);
  });
});
