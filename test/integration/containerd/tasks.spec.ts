import assert from 'node:assert/strict';
import type { Notice, TaskEvent } from '../../../src/containerd/events.ts';
import { hasLabel } from '../../../src/containerd/filters.ts';
import { usageOf } from '../../../src/pod/engine/task-usage.ts';
import { findCgroupTrees } from '../../../src/pod/stats/cgroup/trees.ts';
import { readCgroup } from '../../../src/pod/stats/reading.ts';
import { newId } from '../../../src/lib/id.ts';
import { eventually } from '../../helpers/fixture.ts';
import { imageName, processSpec, TestEngine, untilOutput } from './engine.ts';

const SIGTERM = 15;
const SIGKILL = 9;

/** Keeps what a subscription tells. */
class Listener implements AsyncDisposable {
  readonly notices: Notice[] = [];
  readonly #end = new AbortController();
  readonly #listening: Promise<void>;

  constructor(engine: TestEngine) {
    this.#listening = this.#listen(engine);
  }

  get subscriptions(): number {
    return this.notices.filter(({ kind }) => kind === 'subscribed').length;
  }

  events(containerId: string): TaskEvent[] {
    return this.notices
      .flatMap((notice) => (notice.kind === 'task' ? [notice.event] : []))
      .filter((event) => event.containerId === containerId);
  }

  async subscribed(times = 1): Promise<void> {
    await eventually('subscribed', () => (this.subscriptions >= times ? true : undefined));
  }

  event(containerId: string, kind: TaskEvent['kind']): Promise<TaskEvent> {
    return eventually(`${kind} of ${containerId}`, () =>
      this.events(containerId).find((event) => event.kind === kind),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#listening;
  }

  async #listen(engine: TestEngine): Promise<void> {
    const { signal } = this.#end;
    for await (const notice of engine.client.events.subscribe({ signal })) this.notices.push(notice);
  }
}

describe('containerd: containers, tasks, events', () => {
  let engine: TestEngine;

  before(async () => {
    engine = await TestEngine.start();
    await engine.importImage();
  });

  after(async () => {
    await engine[Symbol.asyncDispose]();
  });

  it('runs a container to its end and tells the exit code and the time', async () => {
    const { containers, tasks } = engine.client;
    await using listener = new Listener(engine);
    await listener.subscribed();
    const id = newId();
    const began = BigInt(Date.now()) * 1_000_000n;
    const script = 'cat /etc/greeting; exit 7';
    const { pid, output } = await engine.createTask(id, ['sh', '-c', script]);
    assert.ok(pid > 1);
    assert.equal((await tasks.get({ containerId: id })).status, 'CREATED');
    const exit = tasks.wait({ containerId: id });
    assert.equal(await tasks.start({ containerId: id }), pid);
    const { exitStatus, exitedAt } = await exit;
    assert.equal(exitStatus, 7);
    assert.ok(exitedAt > began - 1_000_000_000n && exitedAt < began + 60_000_000_000n);
    assert.equal(await untilOutput(output, /hello/), 'hello\n');

    const stopped = await tasks.get({ containerId: id });
    assert.deepEqual([stopped.status, stopped.exitStatus], ['STOPPED', 7]);
    await assert.rejects(tasks.kill({ containerId: id }, SIGKILL), { code: 'NOT_FOUND' });
    const deleted = await tasks.delete({ containerId: id });
    assert.deepEqual(deleted, { pid, exitStatus: 7, exitedAt });
    await assert.rejects(tasks.get({ containerId: id }), { code: 'NOT_FOUND' });
    const end = await listener.event(id, 'exit');
    assert.deepEqual(end, { kind: 'exit', containerId: id, pid, exitStatus: 7, exitedAt });

    const [container, ...others] = await containers.list([hasLabel('io.berth.test', engine.cgroup)]);
    assert.deepEqual(others, []);
    assert.equal(container?.image, imageName);
    assert.equal(container.runtime, 'io.containerd.runc.v2');
    assert.equal((container.spec?.['root'] as { path?: string }).path, 'rootfs');
    await containers.label(id, { more: 'yes' });
    const { labels } = await containers.get(id);
    assert.deepEqual(labels, { 'io.berth.test': engine.cgroup, more: 'yes' });
    await containers.delete(id);
    await assert.rejects(containers.get(id), { code: 'NOT_FOUND' });
    await eventually('its shim has ended', () => (engine.shims().length === 0 ? true : undefined));
  });

  it('lets a container open as many files as under a unit of its own', async () => {
    const { containers, connection, tasks } = engine.client;
    const { state } = connection;
    const { output } = await engine.createTask('limited', ['sh', '-c', 'ulimit -S -n; ulimit -H -n']);
    await tasks.start({ containerId: 'limited' });
    const [soft, hard] = (await untilOutput(output, /\n.*\n/)).trim().split('\n');
    assert.equal(soft, state.connected && state.version.startsWith('1.') ? hard : '1024');
    await tasks.wait({ containerId: 'limited' });
    await tasks.delete({ containerId: 'limited' });
    await containers.delete('limited');
  });

  it('ends a container by a signal, and tells which', async () => {
    const { containers, tasks } = engine.client;
    const script = 'trap "exit 3" TERM; echo armed; while :; do sleep 0.02; done';
    const { output } = await engine.createTask('killed', ['sh', '-c', script]);
    const process_ = { containerId: 'killed' };
    await tasks.start(process_);
    await untilOutput(output, /armed/);
    await tasks.kill(process_, SIGTERM);
    assert.equal((await tasks.wait(process_)).exitStatus, 3);
    await tasks.delete(process_);
    await containers.delete('killed');

    await engine.createTask('murdered', ['sleep', '1000']);
    await tasks.start({ containerId: 'murdered' });
    await assert.rejects(tasks.delete({ containerId: 'murdered' }), /running/);
    await tasks.kill({ containerId: 'murdered' }, SIGKILL);
    assert.equal((await tasks.wait({ containerId: 'murdered' })).exitStatus, 137);
    await tasks.delete({ containerId: 'murdered' });
    await containers.delete('murdered');
  });

  it('executes processes beside the first, with exit codes and pids of their own, and tells only of the end of the first', async () => {
    const { containers, tasks } = engine.client;
    await using listener = new Listener(engine);
    await listener.subscribed();
    const id = newId();
    const { pid } = await engine.createTask(id, ['sleep', '1000']);
    await tasks.start({ containerId: id });
    const exec = { containerId: id, execId: 'e1' };
    const output = `${engine.directory}/e1.out`;
    // Files for one stream only panic the shim of 1.6.
    const io = { stdin: '', stdout: `file://${output}`, stderr: `file://${output}`, terminal: false };
    await tasks.exec(exec, { spec: processSpec(['sh', '-c', 'echo executed; sleep 1000']), io });
    const execPid = await tasks.start(exec);
    await untilOutput(output, /executed/);
    const pids = await tasks.pids(id);
    assert.equal(pids.find((one) => one.pid === execPid)?.execId, 'e1');
    assert.equal(pids.find((one) => one.pid === pid)?.execId, '');
    assert.equal((await tasks.get(exec)).execId, 'e1');
    await tasks.kill(exec, SIGKILL);
    assert.equal((await tasks.wait(exec)).exitStatus, 137);
    assert.equal((await tasks.delete(exec)).exitStatus, 137);

    const missing = { containerId: id, execId: 'e2' };
    await tasks.exec(missing, { spec: processSpec(['/no/such/command']), io });
    await assert.rejects(tasks.start(missing), /no such file or directory/);
    await tasks.delete(missing);

    assert.deepEqual(
      (await tasks.list()).map(({ containerId, status }) => [containerId, status]),
      [[id, 'RUNNING']],
    );
    await tasks.kill({ containerId: id }, SIGKILL);
    await tasks.wait({ containerId: id });
    await listener.event(id, 'exit');
    assert.deepEqual(
      listener.events(id).map((event) => event.kind === 'exit' && event.pid),
      [pid],
    );
    await tasks.delete({ containerId: id });
    await containers.delete(id);
  });

  it('pauses, resumes, limits and measures a container, and gives it a terminal of any size', async () => {
    const { containers, tasks } = engine.client;
    await engine.createTask('tuned', ['sleep', '1000']);
    await tasks.start({ containerId: 'tuned' });
    await tasks.pause('tuned');
    assert.equal((await tasks.get({ containerId: 'tuned' })).status, 'PAUSED');
    await tasks.resume('tuned');
    await tasks.update('tuned', { memory: { limit: 64 * 1024 * 1024 }, pids: { limit: 100 } });
    const [metric] = await tasks.metrics(['id==tuned']);
    assert.equal(metric?.containerId, 'tuned');
    const path = `/${engine.cgroup}/tuned`;
    const cgroup = readCgroup({ trees: findCgroupTrees(), path }, ['cpu', 'memory', 'processes']);
    const usage = usageOf(engine.client.connection.api, metric);
    // It sleeps: the numbers stand still.
    assert.deepEqual({ ...usage?.memory, swap: undefined }, { ...cgroup.memory, swap: undefined });
    assert.deepEqual([usage?.cpu, usage?.processes], [cgroup.cpu, cgroup.processes]);
    assert.equal(usage?.memory?.limit, 64n * 1024n * 1024n);
    await tasks.kill({ containerId: 'tuned' }, SIGKILL, { all: true });
    await tasks.wait({ containerId: 'tuned' });
    await tasks.delete({ containerId: 'tuned' });
    await containers.delete('tuned');
  });

  it('refuses a command that the image has not, with the text of the OCI runtime', async () => {
    const { containers } = engine.client;
    const created = engine.createTask('absent', ['/no/such/program']);
    await assert.rejects(created, /exec: "\/no\/such\/program": stat \/no\/such\/program: no such file/);
    await containers.delete('absent');
    await engine.client.snapshots('overlayfs').remove('absent');
  });

  it('keeps containers over a kill -9 of containerd, subscribes again and says so, and sees what ended meanwhile', async () => {
    const { containers, tasks } = engine.client;
    await using listener = new Listener(engine);
    await listener.subscribed();
    const [survivorId, casualtyId] = [newId(), newId()];
    const { pid } = await engine.createTask(survivorId, ['sleep', '1000']);
    await tasks.start({ containerId: survivorId });
    await engine.createTask(casualtyId, ['sleep', '1000']);
    await tasks.start({ containerId: casualtyId });
    const waiting = tasks.wait({ containerId: survivorId });
    const lost = assert.rejects(waiting, { code: 'UNAVAILABLE' });
    const casualty = (await tasks.get({ containerId: casualtyId })).pid;

    const disconnected = new Promise<void>((resolve) => {
      engine.client.connection.onChange(({ connected }) => {
        if (!connected) resolve();
      });
    });
    process.kill(engine.pid, 'SIGKILL');
    process.kill(casualty, 'SIGKILL');
    await lost;
    await disconnected;
    await engine.ready();
    await listener.subscribed(2);
    const after = await tasks.list();
    const survivor = after.find(({ containerId }) => containerId === survivorId);
    assert.deepEqual([survivor?.status, survivor?.pid], ['RUNNING', pid]);
    // Since 1.7 containerd forgets, when it starts, tasks that have ended; it told of the end before anyone could hear.
    const ended = after.find(({ containerId }) => containerId === casualtyId);
    const { version } = await engine.client.introspection.version();
    assert.equal(ended?.status, version.startsWith('1.6.') ? 'STOPPED' : undefined);
    if (ended !== undefined) {
      assert.equal((await tasks.wait({ containerId: casualtyId })).exitStatus, 137);
      await tasks.delete({ containerId: casualtyId });
    }
    await tasks.kill({ containerId: survivorId }, SIGKILL);
    assert.equal((await tasks.wait({ containerId: survivorId })).exitStatus, 137);
    await listener.event(survivorId, 'exit');
    await tasks.delete({ containerId: survivorId });
    for (const containerId of [survivorId, casualtyId]) await containers.delete(containerId);
  });
});
