import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, status } from '@grpc/grpc-js';
import { loadCri } from '../../../src/lib/proto.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';
import { bridgeNetwork, TestDaemon } from '../../helpers/daemon.ts';

describe('the daemon', () => {
  it('answers on a socket that only root may open, and says who it is', async () => {
    await using rig = await Rig.start();
    assert.equal(statSync(rig.daemon.socket).mode & 0o777, 0o600);
    const version = await rig.daemon.client.version();
    assert.equal(version.runtimeName, 'berth');
    assert.equal(version.runtimeApiVersion, 'v1');
    const { status: node, info } = await rig.daemon.client.status(true);
    assert.deepEqual(
      node?.conditions.map((c) => [c.type, c.status, c.reason]),
      [
        ['RuntimeReady', false, 'EngineNotReady'],
        ['NetworkReady', true, ''],
      ],
    );
    assert.equal(
      (JSON.parse(info['config'] ?? '') as { stateDir: string }).stateDir,
      join(rig.daemon.directory, 'state'),
    );
    assert.equal(info['lastCNILoadStatus'], 'OK');
  });

  it('tells why it could not start a containerd of its own', async () => {
    await using other = await Scratch.create();
    const state = join(other.path, 'x'.repeat(64));
    const storage = { root: join(other.path, 'root'), state };
    await using rig = await Rig.start({ config: { containerd: { address: 'embedded' }, storage } });
    const { status: node } = await rig.daemon.client.status();
    const { message = '' } = node?.conditions.find(({ type }) => type === 'RuntimeReady') ?? {};
    assert.match(message, /does not answer: failed to start the embedded containerd: the socket's path/);
  });

  it('tells how the networks of each runtime handler were read', async () => {
    await using other = await Scratch.create();
    const handler = { type: 'io.containerd.runc.v2' };
    const runtimes = { runc: handler, own: { ...handler, cni_conf_dir: other.path } };
    const address = join(other.path, 'no-engine.sock');
    await using rig = await Rig.start({ config: { containerd: { address, runtimes } } });
    const { info } = await rig.daemon.client.status(true);
    const statuses = Object.entries(info).filter(([key]) => key.startsWith('lastCNILoadStatus'));
    const { 'lastCNILoadStatus.own': own, ...common } = Object.fromEntries(statuses) as Record<
      string,
      string
    >;
    assert.deepEqual(common, { lastCNILoadStatus: 'OK', 'lastCNILoadStatus.default': 'OK' });
    assert.match(own ?? '', /has no \.conflist/);
  });

  it("replaces a stale socket, and refuses to be the second on its directories with the first one's pid", async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    const config = join(daemon.directory, 'config.toml');
    const second = spawn(process.execPath, [
      new URL('../../../src/main.js', import.meta.url).pathname,
      'serve',
      '--config',
      config,
    ]);
    let stderr = '';
    second.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    const code = await new Promise((resolve) => second.once('close', resolve));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`another berth, process ${daemon.pid}, uses`));
    assert.equal((await daemon.client.version()).runtimeName, 'berth');
    await daemon.kill();
    writeFileSync(daemon.socket, '');
    await daemon.start();
    // The helper saw the stale file; the daemon answers once it has replaced it.
    await eventually('an answer on a replaced socket', () =>
      daemon.client.version().then(
        () => true,
        () => undefined,
      ),
    );
  });

  it('takes many calls at a time for nothing to warn of', async () => {
    await using rig = await Rig.start();
    const { client } = rig.daemon;
    const calls = Array.from({ length: 20 }, () =>
      client.runtime.getContainerEvents({}).on('error', () => undefined),
    );
    await client.run(podConfig('seen'));
    await Promise.all(calls.map((call) => once(call, 'data')));
    for (const call of calls) call.cancel();
    assert.doesNotMatch(await rig.daemon.log(), /Warning/);
  });

  it('tells on SIGUSR1 what it does, and opens no debugger', async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    const events = daemon.client.runtime.getContainerEvents({}).on('error', () => undefined);
    await daemon.client.version();
    process.kill(daemon.pid, 'SIGUSR1');
    const line = await eventually(
      'a report',
      async () => /^.*"msg":"report".*$/m.exec(await daemon.log())?.[0],
    );
    events.cancel();
    const { jobs, calls, loopBusy } = JSON.parse(line) as Record<string, unknown>;
    const pools = ['network', 'waiting', 'delegating', 'rootfs', 'rootfsCopy', 'stats'];
    assert.deepEqual(Object.keys(jobs as object), pools);
    assert.deepEqual(calls, { GetContainerEvents: 1 });
    assert.equal(typeof loopBusy, 'number');
    assert.doesNotMatch(await daemon.log(), /Debugger/);
  });

  it('refuses a request over 16 MiB and lives on', async () => {
    await using rig = await Rig.start();
    const { client } = rig.daemon;
    const annotations = { big: 'x'.repeat(17 * 1024 * 1024) };
    // A client of its own: ours has the same limit on what it sends.
    const unlimited = { 'grpc.max_send_message_length': -1, 'grpc.default_authority': 'localhost' };
    const { RuntimeService } = loadCri();
    const eager = new RuntimeService(`unix:${rig.daemon.socket}`, credentials.createInsecure(), unlimited);
    const request = { config: podConfig('big', { annotations }) };
    const refused = new Promise((resolve, reject) =>
      eager.runPodSandbox(request, (e, r) => (e === null ? resolve(r) : reject(e))),
    );
    await assert.rejects(refused, { code: status.RESOURCE_EXHAUSTED });
    eager.close();
    assert.equal((await client.version()).runtimeName, 'berth');
  });

  it('ends on SIGTERM and leaves pods running, which it finds again with the same IP', async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    const id = await daemon.client.run(podConfig('stays'));
    const ip = (await daemon.client.podStatus(id)).status?.network?.ip;
    assert.equal(await daemon.stop(), 0);
    await rig.node.run('ping', '-c1', '-W2', ip ?? '');
    await daemon.start();
    const { status: after } = await daemon.client.podStatus(id);
    assert.equal(after?.state, 'SANDBOX_READY');
    assert.equal(after.network?.ip, ip);
  });

  it('stops what is left when a part cannot be stopped, and tells which', async () => {
    await using rig = await Rig.start();
    const { daemon } = rig;
    rmSync(daemon.socket);
    mkdirSync(daemon.socket);
    try {
      assert.equal(await daemon.stop(), 0);
      const failures = (await daemon.log()).match(/^.*"msg":"failed to stop a part".*$/gm) ?? [];
      assert.equal(failures.length, 1);
      assert.match(failures.join(), /berth\.sock/);
      const dhcp = join(daemon.directory, 'state', 'dhcp.sock');
      assert.equal(existsSync(dhcp), false, 'the server of leases has stopped');
    } finally {
      rmdirSync(daemon.socket);
    }
  });

  it('says which files are wrong when no network is ready, and takes pods as soon as one is', async () => {
    await using rig = await Rig.start({ networks: { '10-bad.conflist': '{"name": "x", "plugins": [' } });
    const { client, confDir, directory } = rig.daemon;
    const ready = async () =>
      (await client.status()).status?.conditions.find((c) => c.type === 'NetworkReady');
    const before = await ready();
    assert.equal(before?.status, false);
    assert.equal(before.reason, 'NetworkPluginNotReady');
    assert.match(before.message, /cni plugin not initialized.*10-bad\.conflist: rejected/s);
    await assert.rejects(client.run(podConfig('early')), {
      code: status.UNAVAILABLE,
      details:
        /^failed to setup network for sandbox "[0-9a-f]{64}": .*cni plugin not initialized.*10-bad\.conflist: rejected/,
    });
    writeFileSync(join(confDir, '20-good.conflist'), JSON.stringify(bridgeNetwork(directory)));
    await eventually('NetworkReady', async () => (await ready())?.status || undefined);
    await client.run(podConfig('late'));
  });
});

describe('a daemon with nothing but a bad configuration', () => {
  it('names the key and ends', async () => {
    await assert.rejects(TestDaemon.start({ config: { cni: { conf_dri: '/x' } } }), /cni\.conf_dri/);
  });
});
