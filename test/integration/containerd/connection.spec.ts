import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Connection, type ConnectionState } from '../../../src/containerd/connection.ts';
import { Containerd } from '../../../src/containerd/containerd.ts';
import { EmbeddedContainerd, embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import { findProcesses, isContainerd, signalProcess } from '../../../src/containerd/embedded/process.ts';
import { eventually, Scratch } from '../../helpers/fixture.ts';
import { runs, TestEngine } from './engine.ts';
import { MemoryLog } from './memory-log.ts';

describe('the connection to containerd', () => {
  it('says why there is none, and cannot be waited for beyond a signal', async () => {
    await using scratch = await Scratch.create();
    const address = join(scratch.path, 'none.sock');
    const connection = new Connection({ address, log: new MemoryLog() });
    try {
      connection.start();
      const reason = `containerd at "${address}" is unavailable: connect ENOENT ${address}`;
      await eventually(
        'it has been tried',
        () => (!connection.state.connected && connection.state.reason === reason) || undefined,
      );
      await assert.rejects(connection.ready({ signal: AbortSignal.timeout(300) }), {
        code: 'UNAVAILABLE',
        message: `failed to connect to containerd at "${address}": ${reason}`,
      });
      assert.deepEqual(connection.state, { connected: false, reason });
      const { Version } = connection.api.services.version.v1.Version.service;
      await assert.rejects(connection.unary(Version, {}), { code: 'UNAVAILABLE', message: reason });
    } finally {
      connection.close();
    }
  });

  it('sees within moments that containerd was killed and that it is back, without being asked', async () => {
    await using engine = await TestEngine.start();
    const { connection, introspection } = engine.client;
    const states: ConnectionState[] = [];
    connection.onChange((state) => states.push(state));
    const uuid = await introspection.uuid();
    process.kill(engine.pid, 'SIGKILL');
    await eventually('lost', () => (states.some(({ connected }) => !connected) ? true : undefined), 5_000);
    await eventually('back', () => (connection.state.connected ? true : undefined));
    assert.equal(await introspection.uuid(), uuid);
    assert.ok(engine.log.has('lost containerd'));
  });

  it('sees that containerd hangs', async function () {
    this.timeout(120_000);
    await using engine = await TestEngine.start();
    const { connection } = engine.client;
    process.kill(engine.pid, 'SIGSTOP');
    try {
      const gone = () => (connection.state.connected ? undefined : connection.state);
      const state = await eventually('found out', gone);
      assert.match(state.reason, /deadline/i);
    } finally {
      process.kill(engine.pid, 'SIGCONT');
    }
    await eventually('back', () => (connection.state.connected ? true : undefined));
  });

  it('ends calls under way and subscriptions when it is closed', async () => {
    await using engine = await TestEngine.start();
    const client = new Containerd({ address: engine.embedded.address, log: new MemoryLog() });
    client.connection.start();
    await client.connection.ready({ signal: AbortSignal.timeout(5_000) });
    const subscription = client.events.subscribe({ signal: AbortSignal.timeout(5_000) });
    assert.deepEqual((await subscription.next()).value, { kind: 'subscribed' });
    await subscription.return();
    client.connection.close();
    await assert.rejects(client.introspection.version(), { code: 'UNAVAILABLE', message: /is closed/ });
    assert.equal(client.connection.state.connected, false);
  });
});

describe('the embedded containerd', () => {
  it('has a session, a socket and directories of its own, and makes none elsewhere', async () => {
    const elsewhere = ['/opt/containerd', '/var/lib/containerd', '/etc/containerd', '/var/run/nri'];
    const before = elsewhere.map((path) => existsSync(path));
    await using engine = await TestEngine.start();
    const { socket, cniConfDir } = engine.paths;
    // Root of a user namespace gets through to its root file system, but sees nothing.
    assert.equal(statSync(dirname(socket)).mode & 0o777, 0o711);
    assert.deepEqual(readdirSync(cniConfDir), []);
    assert.deepEqual(
      elsewhere.map((path) => existsSync(path)),
      before,
    );
    const stat = readFileSync(`/proc/${engine.pid}/stat`, 'utf8');
    const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    assert.equal(Number(session), engine.pid);
  });

  it('has its log in ours, where a start is nothing to worry about', async () => {
    await using engine = await TestEngine.start();
    const serving = () => engine.log.lines.find(({ message }) => message.startsWith('serving...'));
    assert.equal((await eventually('serving', serving)).level, 'debug');
    const worries = engine.log.lines.filter(({ level }) => level === 'error' || level === 'warn');
    assert.deepEqual(
      worries.map(({ message }) => message),
      [],
    );
  });

  it('is started again, with back-off, each time it dies', async () => {
    await using engine = await TestEngine.start();
    for (const nth of [1, 2]) {
      const { pid } = engine;
      process.kill(pid, 'SIGKILL');
      const restarted = () =>
        engine.embedded.status.restarts === nth && engine.pid !== 0 ? true : undefined;
      await eventually('started again', restarted);
      assert.notEqual(engine.pid, pid);
      await engine.ready();
    }
    assert.equal(engine.embedded.status.lastEnd, 'signal SIGKILL');
  });

  it('is one, even if what came of a start could not be recorded', async () => {
    await using engine = await TestEngine.start();
    const { pid, paths, log } = engine;
    const failures = () => log.lines.filter(({ message }) => message === 'failed to start containerd').length;
    const running = () => findProcesses((argv) => isContainerd(argv, paths.config));
    try {
      rmSync(paths.record);
      mkdirSync(join(paths.record, 'taken'), { recursive: true });
      process.kill(pid, 'SIGKILL');
      await eventually('it has failed again and again', () => (failures() >= 3 ? true : undefined));
      assert.equal(running().length, 1);
      rmSync(paths.record, { recursive: true });
      const now = await eventually('one runs', () => engine.embedded.status.pid);
      assert.deepEqual(
        running().map((one) => one.pid),
        [now],
      );
      await engine.ready();
    } finally {
      for (const one of running().filter((other) => other.pid !== engine.embedded.status.pid))
        signalProcess(one, 'SIGKILL');
    }
  });

  it('is found again by the next Berth, by its record or without one, and supervised', async () => {
    await using engine = await TestEngine.start();
    await engine.importImage();
    await engine.createTask('busy', ['sleep', '1000']);
    await engine.client.tasks.start({ containerId: 'busy' });
    const { pid } = engine;
    const { record } = engine.paths;
    const leave: Readonly<Record<string, () => void>> = {
      kept: () => undefined,
      lost: () => rmSync(record),
      torn: () => writeFileSync(record, '{"pid": 1'),
      'of another process': () => writeFileSync(record, JSON.stringify({ pid: process.pid, startTime: '1' })),
    };
    for (const [how, apply] of Object.entries(leave)) {
      assert.equal(await engine.embedded.stop({ ifIdle: true }), false);
      apply();
      engine.embedded = engine.another();
      await engine.embedded.start();
      assert.equal(engine.pid, pid, `record ${how}`);
    }
    process.kill(pid, 'SIGKILL');
    const replaced = () => (engine.pid !== pid && engine.pid !== 0 ? true : undefined);
    await eventually('the adopted one is started again', replaced);
    await engine.ready();
    assert.equal((await engine.client.tasks.get({ containerId: 'busy' })).status, 'RUNNING');
  });

  it('ends with the supervisor when no container runs, though an ended one is still there', async () => {
    await using engine = await TestEngine.start();
    await engine.importImage();
    await engine.createTask('done', ['true']);
    await engine.client.tasks.start({ containerId: 'done' });
    await engine.client.tasks.wait({ containerId: 'done' });
    const { pid } = engine;
    assert.equal(await engine.embedded.stop({ ifIdle: true }), true);
    assert.equal(runs(pid, 'containerd'), false);
    engine.embedded = engine.another();
    await engine.embedded.start();
    await engine.ready();
    assert.equal((await engine.client.containers.get('done')).id, 'done');
  });

  it('is restarted when its configuration changed while Berth was away', async () => {
    await using engine = await TestEngine.start();
    await engine.importImage();
    await engine.createTask('busy', ['sleep', '1000']);
    await engine.client.tasks.start({ containerId: 'busy' });
    const { pid } = engine;
    await engine.embedded.stop({ ifIdle: true });
    engine.embedded = engine.another({ registryConfigPath: join(engine.directory, 'certs.d') });
    await engine.embedded.start();
    await engine.ready();
    assert.notEqual(engine.pid, pid);
    assert.equal((await engine.client.tasks.get({ containerId: 'busy' })).status, 'RUNNING');
  });

  it('may open as many files as under a unit of its own, which since 2.0 leaves it the default', async () => {
    for (const [version, expected] of [
      ['1.7.24', /^(\d+) \1$/m],
      ['2.1.9', /^1024 (?!1024$)\d+$/m],
    ] as const) {
      await using scratch = await Scratch.create();
      const executable = join(scratch.path, 'containerd');
      const tells = `echo containerd github.com/containerd/containerd v${version} abc`;
      const script = `#!/bin/sh\n[ "$1" = --config ] || { ${tells}; exit; }\necho $(ulimit -S -n) $(ulimit -H -n)\n`;
      writeFileSync(executable, `${script}exec sleep 1000\n`, { mode: 0o755 });
      const directories = { root: join(scratch.path, 'root'), state: join(scratch.path, 'run') };
      const settings = { ...directories, registryConfigPath: '', snapshotter: '', log: new MemoryLog() };
      const embedded = new EmbeddedContainerd({ ...settings, executable });
      await embedded.start();
      try {
        const { log } = embeddedPaths(directories);
        const told = () => (readFileSync(log, 'utf8').endsWith('\n') ? true : undefined);
        await eventually(`containerd ${version} tells its limits`, told);
        assert.match(readFileSync(log, 'utf8'), expected);
      } finally {
        await embedded.stop({ ifIdle: false });
      }
    }
  });

  it('says so when there is no containerd, or one that is too old', async () => {
    await using scratch = await Scratch.create();
    const settings = {
      root: join(scratch.path, 'root'),
      state: join(scratch.path, 'run'),
      registryConfigPath: '',
      snapshotter: '',
      log: new MemoryLog(),
    };
    const none = new EmbeddedContainerd({ ...settings, executable: 'no-such-containerd' });
    await assert.rejects(none.start(), {
      code: 'FAILED_PRECONDITION',
      message: 'failed to start the embedded containerd: there is no executable "no-such-containerd"',
    });
    assert.equal(await none.stop({ ifIdle: true }), true);
    const old = join(scratch.path, 'containerd');
    writeFileSync(old, '#!/bin/sh\necho containerd github.com/containerd/containerd v1.5.9 abc\n');
    chmodSync(old, 0o755);
    await assert.rejects(new EmbeddedContainerd({ ...settings, executable: old }).start(), {
      code: 'FAILED_PRECONDITION',
      message: 'failed to start the embedded containerd: containerd 1.5 is too old: 1.6 is the oldest',
    });
  });

  it('is started as soon as that can be done', async () => {
    await using scratch = await Scratch.create();
    const executable = join(scratch.path, 'containerd');
    const embedded = new EmbeddedContainerd({
      root: join(scratch.path, 'root'),
      state: join(scratch.path, 'run'),
      registryConfigPath: '',
      snapshotter: '',
      log: new MemoryLog(),
      executable,
    });
    try {
      await embedded.start().catch((error: unknown) => embedded.keepTrying(error));
      assert.match(embedded.status.failure ?? '', /there is no executable/);
      writeFileSync(executable, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      await eventually(
        'another failure',
        () => /failed: .*--version/.test(embedded.status.failure ?? '') || undefined,
      );
      const version = 'echo containerd github.com/containerd/containerd v1.7.24 abc';
      writeFileSync(executable, `#!/bin/sh\n[ "$1" = --version ] && ${version} && exit\nexec sleep 1000\n`);
      const pid = await eventually('it runs', () => embedded.status.pid);
      assert.equal(embedded.status.failure, undefined);
      await embedded.stop({ ifIdle: false });
      assert.equal(runs(pid, 'sleep'), false);
    } finally {
      await embedded.stop({ ifIdle: false });
    }
  });

  it('that cannot be started is left alone after stop', async () => {
    await using scratch = await Scratch.create();
    const settings = { registryConfigPath: '', snapshotter: '', log: new MemoryLog() };
    const state = join(scratch.path, 'x'.repeat(100));
    const embedded = new EmbeddedContainerd({ ...settings, root: scratch.path, state });
    await embedded.start().catch((error: unknown) => embedded.keepTrying(error));
    await embedded.stop({ ifIdle: true });
    assert.match(embedded.status.failure ?? '', /longer than the kernel allows/);
  });
});
