import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json, JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { TestDaemon } from '../../../helpers/daemon.ts';
import { DhcpEar, DhcpServer, lan } from '../../../helpers/dhcp.ts';
import { eventually, Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { berth } from '../../cli/run-main.ts';
import {
  callPlugin,
  callWell,
  type PluginAnswer,
  type Provider,
  referencePlugins,
} from '../../../helpers/plugin-process.ts';

function messageOf({ output }: PluginAnswer): string {
  return JSON.stringify(output?.['msg'] ?? '');
}

const main = fileURLToPath(new URL('../../../../src/main.js', import.meta.url));
const RELEASE = 7;

/** One pod with an interface on a LAN with a server, for a runtime that is not Berth. */
describe('dhcp as an executable', function () {
  this.timeout(120_000);
  let cleanup: Cleanup;
  let node: TestNode;
  let pod: TestNode;
  let dir: string;
  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    dir = cleanup.use(await Scratch.create()).path;
    await lan(node);
    const link = 'link add h98 type veth peer name eth0 address 02:00:00:00:98:01 netns'.split(' ');
    await node.run('ip', ...link, pod.name);
    await node.run('ip', 'link', 'set', 'h98', 'master', 'br98', 'up');
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  async function serve(more: readonly string[] = []): Promise<DhcpEar> {
    const range = ['10.98.0.20', '10.98.0.50'] as const;
    const routers = ['option router 10.98.0.1', ...more];
    cleanup.use(await DhcpServer.start({ node, device: 'br98', range, lease: 600, more: routers }));
    return cleanup.use(new DhcpEar(node, 'br98'));
  }

  /** A process that serves on a socket. */
  async function run(path: string, ...argv: string[]): Promise<ChildProcess> {
    const [file, args] = node.command(...argv);
    const child = spawn(file, args, { stdio: 'ignore' });
    cleanup.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    });
    await eventually(`${path} is served`, () => existsSync(path) || undefined);
    return child;
  }

  const referenceDaemon = async (): Promise<string> => {
    const path = join(dir, 'reference.sock');
    await run(path, join(referencePlugins, 'dhcp'), 'daemon', '-socketpath', path);
    return path;
  };
  const ownDaemon = async (): Promise<string> => {
    const daemon = cleanup.use(await TestDaemon.start({ node }));
    return join(daemon.directory, 'state', 'dhcp.sock');
  };

  function call(verb: 'ADD' | 'DEL' | 'CHECK' | 'STATUS', daemonSocketPath: string, more: JsonObject = {}) {
    const { cniVersion = '1.0.0', ipam = {}, ...rest } = more;
    const config = {
      cniVersion,
      name: 'lan',
      ...rest,
      ipam: { type: 'dhcp', daemonSocketPath, ...(ipam as object) },
    };
    return { verb, type: 'dhcp', netns: pod.path, config: config as JsonObject };
  }

  it('a server gives both the same result, in every version', async () => {
    const ear = await serve([
      'option staticroutes 10.0.0.0/8 10.98.0.4, 0.0.0.0/0 10.98.0.5',
      'option routes 172.16.0.0 10.98.0.6',
    ]);
    const sockets: Record<Provider, string> = {
      reference: await referenceDaemon(),
      berth: await ownDaemon(),
    };
    const old = { ipam: { request: [{ option: '33' }, { option: 'routers' }] } };
    const classless = {
      ipam: { request: [{ option: '121' }], provide: [{ option: 'host-name', value: 'x' }] },
    };
    for (const more of [{}, old, classless]) {
      for (const cniVersion of ['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0']) {
        const results: Json[] = [];
        for (const provider of ['reference', 'berth'] as const) {
          const path = sockets[provider];
          const result = await callWell(node, provider, call('ADD', path, { ...more, cniVersion }));
          const { dns, ...rest } = result ?? {};
          assert.deepEqual(dns ?? {}, {});
          results.push(rest);
          if (cniVersion >= '0.4.0')
            await callWell(
              node,
              provider,
              call('CHECK', path, { ...more, cniVersion, prevResult: result ?? {} }),
            );
          await callWell(node, provider, call('DEL', path, { ...more, cniVersion }));
        }
        assert.deepEqual(results[1], results[0], `${cniVersion} ${JSON.stringify(more)}`);
      }
    }
    const identifiers = ear.heard.map(({ options }) => Buffer.from(options.get(61) ?? []).toString());
    assert.deepEqual([...new Set(identifiers)], ['\0c1/lan/eth0'], 'both say who they are');
  });

  it('without a daemon both say the same, and STATUS that nothing can be had', async () => {
    const path = join(dir, 'nobody.sock');
    const ours = await callPlugin(node, 'berth', call('ADD', path));
    const theirs = await callPlugin(node, 'reference', call('ADD', path));
    assert.deepEqual([ours.exitCode, ours.output?.['code']], [1, 999]);
    assert.equal(messageOf(ours), messageOf(theirs));
    assert.match(
      messageOf(ours),
      /^"error dialing DHCP daemon: dial unix .*: connect: no such file or directory"$/,
    );
    const status = await callPlugin(node, 'berth', call('STATUS', path, { cniVersion: '1.1.0' }));
    assert.deepEqual([status.exitCode, status.output?.['code']], [1, 50]);
    const socket = await ownDaemon();
    assert.equal(
      (await callPlugin(node, 'berth', call('STATUS', socket, { cniVersion: '1.1.0' }))).exitCode,
      0,
    );
  });

  it('the errors of a daemon are those of the plugin', async () => {
    const socket = await ownDaemon();
    const bad = { ipam: { request: [{ option: 'nonsense' }] } };
    const answer = await callPlugin(node, 'berth', call('ADD', socket, bad));
    assert.deepEqual([answer.exitCode, answer.output?.['code']], [1, 999]);
    assert.match(messageOf(answer), /Can not parse option .*nonsense/);
    await pod.run('ip', 'link', 'delete', 'eth0');
    const gone = await callPlugin(node, 'berth', call('ADD', socket));
    assert.equal(messageOf(gone), JSON.stringify('error looking up "eth0": Link not found'));
    assert.equal((await callPlugin(node, 'berth', call('DEL', socket))).exitCode, 0);
  });

  it('net gc gives back the lease of a container that the runtime does not know, and a dry run only tells it', async () => {
    const ear = await serve();
    const plugins = [{ type: 'bridge', bridge: 'br98', ipam: { type: 'dhcp' } }];
    const networks = { '10-lan.conflist': { cniVersion: '1.1.0', name: 'lan', plugins } };
    const daemon = cleanup.use(await TestDaemon.start({ node, networks }));
    const socket = join(daemon.directory, 'state', 'dhcp.sock');
    const prevResult = (await callWell(node, 'berth', call('ADD', socket))) ?? {};
    const gc = async (...more: string[]): Promise<string> =>
      (await berth(['net', 'gc', ...more, '--address', daemon.socket])).stdout;
    assert.match(await gc('--dry-run'), /lan +c1 +eth0 +would be collected: DHCP lease 10\.98\.0\.\d+\n/);
    await callWell(node, 'berth', call('CHECK', socket, { prevResult }));
    assert.match(await gc(), /lan +c1 +eth0 +collected: DHCP lease 10\.98\.0\.\d+\n/);
    await ear.next('RELEASE', ({ type }) => type === RELEASE);
    assert.match(await gc('--dry-run'), /lan +clean\n/);
  });

  it('a daemon of its own keeps the leases where there is no Berth, also after it was killed', async () => {
    const ear = await serve();
    const path = join(dir, 'own.sock');
    const options = ['--socketpath', path, '--directory', join(dir, 'leases')];
    const argv = [process.execPath, main, 'cni', 'dhcp', 'daemon', ...options];
    const first = await run(path, ...argv);
    const prevResult = (await callWell(node, 'berth', call('ADD', path))) ?? {};
    first.kill('SIGKILL');
    await once(first, 'exit');
    const check = () => callPlugin(node, 'berth', call('CHECK', path, { prevResult }));
    assert.match(messageOf(await check()), /connection refused/);
    await run(path, ...argv);
    const isWell = async () => (await check()).exitCode === 0 || undefined;
    await eventually('it answers again', isWell, 15_000, 200);
    await callWell(node, 'berth', call('DEL', path));
    await ear.next('RELEASE', ({ type }) => type === RELEASE);
  });
});
