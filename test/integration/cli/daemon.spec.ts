import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TestDaemon } from '../../helpers/daemon.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';
import { berth } from './run-main.ts';

interface Inspected {
  readonly status: { readonly id: string; readonly network: { readonly ip: string } };
}

describe('berth pod and berth net with a real daemon', () => {
  it('run a pod, show and explain its address, and remove it', async () => {
    await using node = await TestNode.create();
    await using daemon = await TestDaemon.start({ node });
    const run = (...args: string[]) => berth([...args, '--address', daemon.socket]);

    const started = await run(
      'pod',
      'run',
      '--name',
      'web',
      '-n',
      'shop',
      '-l',
      'app=web',
      '--port',
      '8080:80',
    );
    assert.equal(started.code, 0, started.stderr);
    const id = started.stdout.trim();

    const inspected = JSON.parse((await run('pod', 'inspect', 'shop/web', '--json')).stdout) as Inspected;
    assert.equal(inspected.status.id, id);
    const { ip } = inspected.status.network;
    await node.run('ping', '-c', '1', '-W', '2', ip);

    assert.match(
      (await run('pod', 'ps')).stdout,
      new RegExp(`\n${id.slice(0, 13)}  shop +web +READY +${ip} `),
    );
    assert.match(
      (await run('net', 'show')).stdout,
      /\nNetworkReady: yes\n[^]*\nberth-test +eth0 +1\.0\.0 +bridge, portmap /,
    );

    const explained = (await run('net', 'explain', id.slice(0, 10))).stdout;
    assert.match(explained, new RegExp(`\nIP: +${ip}\n`));
    assert.match(explained, new RegExp(`\n${ip}/16 +eth0 +primary +chosen\n`));
    assert.match(explained, / ADD +host-local +[\d.]+ ms +ok +built-in\n/);
    assert.match(explained, / ADD +bridge +[\d.]+ ms +ok +built-in\n/);

    assert.deepEqual(await run('net', 'debts'), { code: 0, stdout: 'no debts\n', stderr: '' });
    assert.deepEqual(await run('pod', 'stop', 'shop/web'), { code: 0, stdout: `${id}\n`, stderr: '' });
    assert.deepEqual(await run('pod', 'rm', id), { code: 0, stdout: `${id}\n`, stderr: '' });
    assert.equal((await run('pod', 'inspect', id)).code, 4);
    assert.equal(await daemon.stop(), 0, 'SIGTERM ends the daemon with 0');
  });

  it('explain a pod that failed', async () => {
    await using node = await TestNode.create();
    const broken = {
      cniVersion: '1.0.0',
      name: 'broken',
      plugins: [{ type: 'bridge', bridge: 'brt0', ipam: { type: 'no-such-ipam' } }],
    };
    await using daemon = await TestDaemon.start({ node, networks: { '10-broken.conflist': broken } });
    const run = (...args: string[]) => berth([...args, '--address', daemon.socket]);

    const failed = await run('pod', 'run', '--name', 'web', '-n', 'shop');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^berth: failed to run pod "shop\/web": .*no-such-ipam.*\n$/);
    const explained = await run('net', 'explain', 'shop/web');
    assert.equal(explained.code, 0, explained.stderr);
    assert.match(explained.stdout, /State: +FAILED\n[^]*IP: +none\nError: .*no-such-ipam/);
    assert.match(explained.stdout, / ADD +bridge .* failed /);
  });

  it('explain a pod that hangs in a plugin while it does', async () => {
    await using scratch = await Scratch.create();
    const ipam = await scriptedPlugin(scratch.path, 'ponder');
    const go = join(scratch.path, 'go');
    await ipam.on('add', `until [ -e ${go} ]; do sleep 0.05; done; exit 1`);
    const plugins = [{ type: 'bridge', bridge: 'brt0', ipam: { type: 'ponder' } }];
    const slow = { cniVersion: '1.0.0', name: 'slow', plugins };
    await using node = await TestNode.create();
    const config = { cni: { bin_dirs: [scratch.path] } };
    await using daemon = await TestDaemon.start({ node, config, networks: { '10-slow.conflist': slow } });
    const run = (...args: string[]) => berth([...args, '--address', daemon.socket]);

    const failed = run('pod', 'run', '--name', 'web', '-n', 'shop');
    const explained = await eventually('the plugin hangs', async () => {
      const { stdout } = await run('net', 'explain', 'shop/web');
      return stdout.includes('ponder') ? stdout : undefined;
    });
    assert.match(explained, /State: +CREATING\n/);
    assert.match(
      explained,
      / ADD +bridge +[\d.]+ m?s +running +-\n[^]* ADD +ponder +[\d.]+ m?s +running +-\n/,
    );
    await writeFile(go, '');
    assert.equal((await failed).code, 1);
    const after = (await run('net', 'explain', 'shop/web')).stdout;
    assert.match(after, /State: +FAILED\n/);
    assert.doesNotMatch(after, /running/);
  });
});
