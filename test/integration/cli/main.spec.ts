import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { stringify } from 'smol-toml';
import { CriPeer, Refusal } from '../../fakes/cri-peer.ts';
import { eventually } from '../../helpers/fixture.ts';
import { berth, main } from './run-main.ts';

describe('the berth program', () => {
  let dir = '';

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-main-'));
  });

  afterEach(() => rmSync(dir, { recursive: true }));

  it('prints its version and ends with 0', async () => {
    const { code, stdout, stderr } = await berth(['version']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^berth \d+\.\d+\.\d+\n$/);
  });

  it('loads for version neither gRPC nor libc', async () => {
    const program = join(dir, 'main.js');
    const hook = join(dir, 'hook.mjs');
    symlinkSync(main, program);
    const source = `export async function load(url, context, next) {
      if (/node_modules\\/(@grpc|koffi|zod|pino)\\//.test(url)) process._rawDebug('loaded ' + url);
      return next(url, context);
    }`;
    writeFileSync(
      hook,
      `import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(source)}));`,
    );
    const { code, stderr } = await berth(['version'], { env: { NODE_OPTIONS: `--import=${hook}` } });
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('tells a usage error in one line and ends with 2', async () => {
    assert.deepEqual(await berth(['pod', 'lst']), {
      code: 2,
      stdout: '',
      stderr: 'berth: unknown command "pod lst" (did you mean ps?)\n',
    });
  });

  it('ends with 3 when no daemon answers', async () => {
    const { code, stderr } = await berth(['pod', 'ps'], { env: { BERTH_ADDRESS: join(dir, 'none.sock') } });
    assert.equal(code, 3);
    assert.match(stderr, /^berth: cannot reach Berth at .*none\.sock: nobody listens there.*\n$/);
  });

  it('serve with a bad configuration tells it in one line and ends with 1', async () => {
    const config = join(dir, 'config.toml');
    writeFileSync(config, '[cni]\nconf_dirs = "/x"\n');
    assert.deepEqual(await berth(['serve', '--config', config]), {
      code: 1,
      stdout: '',
      stderr: `berth: failed to load configuration "${config}": unknown key cni.conf_dirs (did you mean cni.conf_dir?)\n`,
    });
  });

  it('serve with a named configuration that does not exist ends with 4', async () => {
    assert.equal((await berth(['serve', '-c', join(dir, 'absent.toml')])).code, 4);
  });

  it('serve goes on after a failure that nobody waited for, and tells it', async () => {
    const config = join(dir, 'config.toml');
    const socket = join(dir, 'berth.sock');
    writeFileSync(
      config,
      `[storage]\nroot = "${dir}/root"\nstate = "${dir}/state"\n[grpc]\naddress = "${socket}"\n[containerd]\naddress = "${dir}/none"
[cni]\nconf_dir = "${dir}"\ncache_dir = "${dir}/cni"\nnetns_dir = "${dir}/netns"\n`,
    );
    const hook = join(dir, 'hook.mjs');
    writeFileSync(
      hook,
      `import { isMainThread } from 'node:worker_threads';
      if (isMainThread) process.on('SIGUSR2', () => void Promise.reject(new Error('forgotten')));`,
    );
    const serve = ['--import', hook, main, 'serve', '--config', config];
    const child = spawn(process.execPath, serve, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await eventually('it serves', () => existsSync(socket) || undefined);
    child.kill('SIGUSR2');
    await eventually('it tells', () => /"level":"error".*"error":"forgotten"/.test(stderr) || undefined);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 0, stderr);
  });

  it('serve says that it needs root', async () => {
    const config = join(dir, 'config.toml');
    writeFileSync(
      config,
      `[storage]\nroot = "${dir}/root"\nstate = "${dir}/state"\n[grpc]\naddress = "${dir}/sock"\n`,
    );
    // Of a user namespace without a mapping nobody is root, but the files are still theirs.
    const serve = ['--user', process.execPath, main, 'serve', '--config', config];
    const { exitCode, stderr } = await execa('unshare', serve, { reject: false, timeout: 30_000 });
    assert.equal(exitCode, 1);
    assert.match(stderr, /^berth: berth serve .* must be run by root: this is uid 65534$/);
  });

  for (const [when, script] of [
    ['does not tell its version', 'exec sleep 3600'],
    ['does not answer', '[ "$1" = --version ] && exec CONTAINERD --version; exec sleep 3600'],
  ] as const) {
    it(`serve ends on SIGTERM while it starts with a containerd that ${when}`, async () => {
      const bin = join(dir, 'bin');
      mkdirSync(bin);
      const { stdout: containerd } = await execa('which', ['containerd']);
      const program = `#!/bin/sh\ntouch ${dir}/asked\n${script.replace('CONTAINERD', containerd)}\n`;
      writeFileSync(join(bin, 'containerd'), program, { mode: 0o755 });
      const config = join(dir, 'config.toml');
      const sections = {
        grpc: { address: join(dir, 'sock') },
        storage: { root: join(dir, 'root'), state: join(dir, 'state') },
        cni: { conf_dir: join(dir, 'net.d'), cache_dir: join(dir, 'cni'), netns_dir: join(dir, 'netns') },
        containerd: { address: 'embedded' },
      };
      writeFileSync(config, stringify(sections));
      const child = spawn(process.execPath, [main, 'serve', '--config', config], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
      });
      const ended = Promise.all([text(child.stderr), once(child, 'exit')]);
      await eventually('containerd is asked', () => existsSync(join(dir, 'asked')) || undefined);
      await sleep(500);
      child.kill('SIGTERM');
      const [stderr] = await ended;
      assert.equal(child.exitCode, 0, stderr);
      assert.doesNotMatch(stderr, /serves the CRI|"level":"error"/);
    });
  }

  it('is the CNI plugin that a link to it is named after, and so is berth cni TYPE', async () => {
    const link = join(dir, 'host-local');
    symlinkSync(main, link);
    const env = { CNI_COMMAND: 'VERSION' };
    const input = '{"cniVersion":"1.0.0"}';
    const linked = await berth([], { program: link, env, input });
    assert.equal(linked.code, 0, linked.stderr);
    assert.deepEqual(
      (JSON.parse(linked.stdout) as { supportedVersions: string[] }).supportedVersions.includes('1.1.0'),
      true,
    );
    assert.deepEqual(await berth(['cni', 'host-local'], { env, input }), linked);
  });

  it('does not complain when its reader has seen enough', async () => {
    const child = spawn(process.execPath, [main, 'help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('fails when its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [main, 'version'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    assert.ok(child.stderr);
    const [stderr] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.equal(child.exitCode, 1);
    assert.match(stderr, /^berth: failed to write the output: ENOSPC.*\n$/);
  });

  describe('berth pod logs', () => {
    const LINES = 5_000;
    const id = 'a'.repeat(64);
    let isRunning = true;
    let peer: CriPeer;
    let path = '';

    beforeEach(async () => {
      isRunning = true;
      path = join(dir, '0.log');
      const status = (): unknown => {
        if (isRunning) return { status: { id, logPath: path, state: 'CONTAINER_RUNNING' } };
        throw new Refusal('UNAVAILABLE', 'restarting');
      };
      peer = await CriPeer.start({
        ListPodSandbox: () => ({ items: [{ id, metadata: { name: 'web', namespace: 'default' } }] }),
        ListContainers: () => ({ containers: [{ id, podSandboxId: id, metadata: { name: 'main' } }] }),
        ContainerStatus: status,
      });
    });

    afterEach(() => peer[Symbol.asyncDispose]());

    function logs(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
      const argv = [main, 'pod', 'logs', '-a', peer.address, ...args, id];
      return spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    }

    function write(stream: string): void {
      writeFileSync(
        path,
        `2026-01-01T00:00:00.000000000Z ${stream} F a line of the container\n`.repeat(LINES),
      );
    }

    for (const stream of ['stdout', 'stderr'] as const) {
      it(`loses nothing of ${stream} for a reader that takes its time`, async () => {
        write(stream);
        const child = logs();
        await sleep(1_000);
        const [read] = await Promise.all([text(child[stream]), once(child, 'exit')]);
        assert.equal(read.split('\n').length - 1, LINES);
        assert.equal(child.exitCode, 0);
      });
    }

    it('loses nothing either when it fails in the end', async () => {
      write('stdout');
      const child = logs('-f');
      await eventually('it asks', () =>
        peer.requests.some(({ method }) => method === 'ContainerStatus') ? true : undefined,
      );
      isRunning = false;
      await sleep(1_000);
      const [read] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      assert.equal(read.split('\n').length - 1, LINES);
      assert.equal(child.exitCode, 1);
    });

    it('ends when the reader of stderr has seen enough', async () => {
      write('stderr');
      const child = logs('-f');
      await once(child.stderr, 'data');
      child.stderr.destroy();
      const growing = setInterval(() => {
        appendFileSync(path, '2026-01-01T00:00:00.000000000Z stderr F one more\n');
      }, 50);
      const [code] = (await once(child, 'exit')) as [number | null];
      clearInterval(growing);
      assert.equal(code, 0);
    });
  });

  it('tells on SIGUSR1 how a daemon is, and opens no debugger', async () => {
    const socket = join(dir, 'dhcp.sock');
    const argv = ['cni', 'dhcp', 'daemon', '--socketpath', socket, '--directory', join(dir, 'leases')];
    const child = spawn(process.execPath, [main, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await eventually('it serves', () => (stderr.includes('keeping DHCP leases') ? true : undefined));
    child.kill('SIGUSR1');
    await eventually('a report', () => (/ INFO report leases=0\n/.test(stderr) ? true : undefined));
    child.kill('SIGTERM');
    await once(child, 'close');
    assert.doesNotMatch(stderr, /Debugger/);
  });

  it('ends a call on the first SIGINT', async () => {
    await using peer = await CriPeer.start({ ListPodSandbox: () => undefined });
    const child = spawn(process.execPath, [main, 'pod', 'ps', '-a', peer.address], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    while (peer.requests.length === 0 && child.exitCode === null) await sleep(20);
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 1);
    assert.match(stderr, /^berth: failed to list pods: .*\(CANCELLED\)\n$/);
  });
});
