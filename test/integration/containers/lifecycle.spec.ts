import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { detectHostFacts } from '../../../src/oci/host-facts.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, imageName } from './rig.ts';

const FOREVER = ['sleep', '3600'];
/** A grace period that is more milliseconds than a timer of Node takes. */
const MONTH_SECONDS = 31 * 24 * 3_600;
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

describe('containers', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  it('go from created over running to exited, and write their log', async () => {
    const pod = await rig.runPod('life');
    const id = await rig.create(pod, 'main', ['sh', '-c', 'echo out; echo err >&2; exit 3'], own);
    assert.equal((await rig.status(id)).state, 'CONTAINER_CREATED');
    await rig.startContainer(id);
    const ended = await rig.ended(id);
    assert.equal(ended.exitCode, 3);
    assert.equal(ended.reason, 'Error');
    assert.ok(BigInt(ended.finishedAt) >= BigInt(ended.startedAt));
    assert.match(ended.imageId, /^sha256:/);
    const log = readFileSync(join(rig.logDirectory, 'life', 'main.log'), 'utf8');
    assert.match(log, /^\S+ stdout F out$/m);
    assert.match(log, /^\S+ stderr F err$/m);
    await rig.remove(id);
    assert.deepEqual(await rig.list(), []);
    assert.equal(readFileSync(join(rig.logDirectory, 'life', 'main.log'), 'utf8'), log);
  });

  it('that are asked for by the id of their image, as kubelet does, have its tag in their status', async () => {
    const pod = await rig.runPod('by-id');
    const first = await rig.status(await rig.create(pod, 'by-tag', FOREVER, own));
    const image = { image: first.imageId, userSpecifiedImage: 'tiny:1' };
    const { status: second, info } = await rig.statusResponse(
      await rig.create(pod, 'by-id', FOREVER, { ...own, image }),
      true,
    );
    assert.equal(first.image?.image, imageName);
    assert.deepEqual([second?.image?.image, second?.image?.userSpecifiedImage], [imageName, 'tiny:1']);
    // Nothing was pulled: there is no digest of a registry.
    assert.deepEqual([second?.imageId, second?.imageRef], [first.imageId, first.imageId]);
    const { config } = JSON.parse(info['info'] ?? '') as { config: { image: { image: string } } };
    assert.equal(config.image.image, first.imageId);
  });

  it('that end at once are reported with their codes, every one of them', async () => {
    const pod = await rig.runPod('short');
    const codes = [...Array(12).keys()];
    const ids = await Promise.all(
      codes.map((code) => rig.run(pod, `c${code}`, ['sh', '-c', `exit ${code}`], own)),
    );
    const ended = await Promise.all(ids.map((id) => rig.ended(id)));
    assert.deepEqual(
      ended.map(({ exitCode }) => exitCode),
      codes,
    );
    assert.equal(ended[0]?.reason, 'Completed');
  });

  it('that run are not ended by a second request for their name', async () => {
    const pod = await rig.runPod('stale');
    const id = await rig.run(pod, 'main', FOREVER, own);
    await assert.rejects(rig.create(pod, 'main', FOREVER, own), { code: status.ALREADY_EXISTS });
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });

  it("are in their pod's status with the newest first, where kubelet looks for the present one", async () => {
    const pod = await rig.runPod('order');
    const first = await rig.run(pod, 'main', ['true'], own);
    await rig.ended(first);
    const second = await rig.run(pod, 'main', FOREVER, { metadata: { name: 'main', attempt: 1 }, ...own });
    const { containersStatuses } = await rig.daemon.client.podStatus(pod.id);
    assert.deepEqual(
      containersStatuses.map(({ id }) => id),
      [second, first],
    );
  });

  it('of one pod share one shim', async () => {
    const pod = await rig.runPod('group');
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => rig.run(pod, name, FOREVER)));
    assert.equal(rig.shims().length, 1);
    assert.equal((await rig.list()).length, 4);
  });

  it('are told to end by their stop signal first, and killed when they do not', async () => {
    const pod = await rig.runPod('stop');
    const polite = ['sh', '-c', 'trap "sleep 0.5; exit 7" TERM; echo ready; while :; do sleep 0.05; done'];
    const deaf = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'];
    const first = await rig.run(pod, 'polite', polite, own);
    const second = await rig.run(pod, 'deaf', deaf, own);
    await rig.logged(pod, 'polite', /ready/);
    await rig.logged(pod, 'deaf', /ready/);
    await rig.stop(first, MONTH_SECONDS);
    assert.equal((await rig.status(first)).exitCode, 7);
    const began = Date.now();
    await rig.stop(second, 1);
    assert.ok(Date.now() - began >= 1_000);
    assert.equal((await rig.status(second)).exitCode, 137);
    await rig.stop(second, 1);
    await rig.stop('0'.repeat(64));
  });

  it('are sent their stop signal once, however often they are stopped', async () => {
    const pod = await rig.runPod('stop-once');
    const script = 'trap "echo told" USR1; echo ready; while :; do sleep 0.05; done';
    const id = await rig.run(pod, 'once', ['sh', '-c', script], { ...own, stopSignal: 'SIGUSR1' });
    await rig.logged(pod, 'once', /ready/);
    const stops = [rig.stop(id, 30), rig.stop(id, 30)];
    await rig.logged(pod, 'once', /told/);
    await Promise.all([...stops, rig.stop(id, 1)]);
    const ended = await rig.status(id);
    assert.deepEqual([ended.exitCode, ended.stopSignal], [137, 'SIGUSR1']);
    assert.equal(rig.logText(pod, 'once'), 'ready\ntold\n');
  });

  it('are stopped by any signal that the CRI has', async () => {
    const pod = await rig.runPod('stop-realtime');
    const script = 'trap "exit 7" 37; echo ready; while :; do sleep 0.05; done';
    const id = await rig.run(pod, 'main', ['sh', '-c', script], { ...own, stopSignal: 'SIGRTMINPLUS3' });
    await rig.logged(pod, 'main', /ready/);
    await rig.stop(id, 20);
    assert.equal((await rig.status(id)).exitCode, 7);
  });

  it('run commands in them, of which a late one is killed', async () => {
    const pod = await rig.runPod('exec');
    const id = await rig.run(pod, 'main', FOREVER, own);
    assert.deepEqual(await rig.exec(id, ['sh', '-c', 'echo a; echo b >&2; exit 5']), {
      stdout: 'a\n',
      stderr: 'b\n',
      exitCode: 5,
    });
    const late = { code: status.DEADLINE_EXCEEDED, details: /longer than 1000 ms/ };
    await assert.rejects(rig.exec(id, FOREVER, 1), late);
    await assert.rejects(rig.exec(id, ['no-such-command']), /no-such-command/);
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });

  it('run commands in them where their shim cannot be found, too', async () => {
    const pod = await rig.runPod('unseen');
    const id = await rig.run(pod, 'main', FOREVER, own);
    const bundle = join(rig.engine.state, 'io.containerd.runtime.v2.task', 'k8s.io', id);
    const noted = ['address', 'bootstrap.json'].map((name) => join(bundle, name)).filter(existsSync);
    assert.notEqual(noted.length, 0);
    for (const path of noted) renameSync(path, `${path}.away`);
    try {
      assert.equal((await rig.exec(id, ['sh', '-c', 'exit 5'])).exitCode, 5);
      await assert.rejects(rig.exec(id, FOREVER, 1), { code: status.DEADLINE_EXCEEDED });
    } finally {
      for (const path of noted) renameSync(`${path}.away`, path);
    }
  });

  it('with pid mode POD share the pid namespace of a pause process, which the first of them starts', async () => {
    const pod = await rig.runPod('shared');
    const alone = await rig.run(pod, 'alone', FOREVER, own);
    assert.equal((await rig.exec(alone, ['cat', '/proc/1/cmdline'])).stdout, 'sleep\u00003600\u0000');
    const [a, b] = [await rig.run(pod, 'a', FOREVER), await rig.run(pod, 'b', FOREVER)];
    const init = (await rig.exec(a, ['cat', '/proc/1/cmdline'])).stdout;
    assert.match(init, /catatonit/);
    assert.equal(
      readlinkSync(`/proc/${await pidOf(a)}/ns/pid`),
      readlinkSync(`/proc/${await pidOf(b)}/ns/pid`),
    );
    assert.notEqual(
      readlinkSync(`/proc/${await pidOf(a)}/ns/pid`),
      readlinkSync(`/proc/${await pidOf(alone)}/ns/pid`),
    );
  });

  it('get a pause process again after somebody killed it', async () => {
    const pod = await rig.runPod('revive');
    const id = await rig.run(pod, 'a', FOREVER);
    process.kill(await pausePid(pod.id), 'SIGKILL');
    assert.equal((await rig.ended(id)).exitCode, 137);
    await eventually('the pause process is forgotten', async () =>
      (await pausePid(pod.id)) === 0 ? true : undefined,
    );
    const again = await rig.run(pod, 'b', FOREVER);
    assert.equal((await rig.status(again)).state, 'CONTAINER_RUNNING');
  });

  it('with pid mode TARGET see the processes of their target, which has to be of their pod', async () => {
    const pod = await rig.runPod('target');
    const other = await rig.runPod('elsewhere');
    const target = await rig.run(pod, 'main', FOREVER, own);
    const debug = (targetId: string) => ({
      linux: { securityContext: { namespaceOptions: { pid: 'TARGET', targetId } } } as const,
    });
    const id = await rig.run(pod, 'debug', FOREVER, debug(target));
    assert.equal((await rig.exec(id, ['cat', '/proc/1/cmdline'])).stdout, 'sleep\u00003600\u0000');
    const stranger = await rig.run(other, 'main', FOREVER, own);
    await assert.rejects(rig.create(pod, 'spy', FOREVER, debug(stranger)), { code: status.INVALID_ARGUMENT });
    // By then its pid may be anybody's.
    const late = await rig.create(pod, 'late', FOREVER, debug(target));
    await rig.stop(target);
    await assert.rejects(rig.startContainer(late), { details: /target_id: container "\w+" is not running/ });
    assert.equal((await rig.status(late)).reason, 'StartError');
  });

  it('tell in their status what their cgroup allows, from the beginning on', async () => {
    const pod = await rig.runPod('resources');
    const resources = { memoryLimitInBytes: 64 << 20, cpuShares: 512, oomScoreAdj: 999 };
    const id = await rig.create(pod, 'main', FOREVER, { linux: { ...own.linux, resources } });
    const created = (await rig.status(id)).resources?.linux;
    // Without a limit of its own swap is memory's.
    const swap = detectHostFacts().swapLimit ? String(64 << 20) : '0';
    assert.deepEqual(
      [
        created?.memoryLimitInBytes,
        created?.memorySwapLimitInBytes,
        created?.cpuShares,
        created?.oomScoreAdj,
      ],
      [String(64 << 20), swap, '512', '999'],
    );
    await rig.startContainer(id);
    await rig.updateResources(id, { cpuShares: 1024 });
    const { resources: updated } = await rig.status(id);
    assert.deepEqual(updated?.linux, { ...created, cpuShares: '1024' });
  });

  it('keep their limits when others are refused, and may be given some after their end', async () => {
    const pod = await rig.runPod('refused');
    const resources = { memoryLimitInBytes: 64 << 20 };
    const id = await rig.run(pod, 'main', FOREVER, { linux: { ...own.linux, resources } });
    const specOf = async (): Promise<unknown> =>
      JSON.parse(await rig.ctr('containers', 'info', '--spec', id));
    const [before, spec] = [await rig.status(id), await specOf()];
    // No such CPU.
    await assert.rejects(rig.updateResources(id, { cpusetCpus: '4000' }), /failed to update container/);
    assert.deepEqual((await rig.status(id)).resources, before.resources);
    assert.deepEqual(await specOf(), spec);
    await rig.stop(id);
    await rig.updateResources(id, { cpuShares: 128 });
    assert.equal((await rig.status(id)).resources?.linux?.cpuShares, '128');
  });

  it('that take more memory than they may are OOMKilled', async () => {
    const pod = await rig.runPod('oom');
    const hog = ['sh', '-c', 'x=0123456789; while :; do x=$x$x; done'];
    const resources = { memoryLimitInBytes: 16 * 1024 * 1024 };
    const id = await rig.run(pod, 'hog', hog, { linux: { resources, ...own.linux } });
    const ended = await rig.ended(id);
    // From the first moment on: whoever is told of the end asks once.
    assert.deepEqual([ended.exitCode, ended.reason], [137, 'OOMKilled']);
  });

  it("that cannot be started are exited, with the runtime's own words", async () => {
    const pod = await rig.runPod('broken');
    const id = await rig.create(pod, 'main', ['/no/such/program'], own);
    await assert.rejects(rig.startContainer(id), /no such file or directory/);
    const { state, reason, exitCode, message } = await rig.status(id);
    assert.deepEqual([state, reason, exitCode], ['CONTAINER_EXITED', 'StartError', 128]);
    assert.match(message, /\/no\/such\/program/);
    await assert.rejects(rig.startContainer(id), { code: status.FAILED_PRECONDITION });
  });

  it('are made once when the same is asked for several times', async () => {
    const pod = await rig.runPod('joined');
    const asked = await Promise.all([1, 2, 3].map(() => rig.create(pod, 'main', FOREVER, own)));
    assert.equal(new Set(asked).size, 1);
    assert.equal(await rig.create(pod, 'main', FOREVER, own), asked[0]);
    const other = await rig.create(pod, 'main', ['true'], own);
    assert.notEqual(other, asked[0]);
    assert.deepEqual(await rig.list(), [other]);
  });

  it('that are asked for badly are refused, and nothing stays of them', async () => {
    const pod = await rig.runPod('refused');
    const { INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION } = status;
    const bad: [string, object, number | undefined][] = [
      ['unknown image', { image: { image: 'berth.local/none:1' } }, NOT_FOUND],
      ['log path', { logPath: '../../etc/passwd' }, INVALID_ARGUMENT],
      ['name', { metadata: { name: '../x' } }, INVALID_ARGUMENT],
      ['mount', { mounts: [{ containerPath: 'relative', hostPath: '/tmp' }] }, INVALID_ARGUMENT],
      ['user', { linux: { securityContext: { runAsUsername: 'nobody-here' } } }, INVALID_ARGUMENT],
      [
        'capability',
        { linux: { securityContext: { capabilities: { addCapabilities: ['FLY'] } } } },
        INVALID_ARGUMENT,
      ],
    ];
    for (const [what, more, code] of bad)
      await assert.rejects(rig.create(pod, 'bad', FOREVER, more), { code }, what);
    await rig.daemon.client.stop(pod.id);
    await assert.rejects(rig.create(pod, 'late', FOREVER), { code: FAILED_PRECONDITION });
    await rig.untraced();
    await assert.rejects(rig.status('0'.repeat(64)), { code: NOT_FOUND });
  });

  it('end with their sandbox, and cannot be started in a stopped one', async () => {
    const pod = await rig.runPod('ends');
    const running = await rig.run(pod, 'running', FOREVER);
    const created = await rig.create(pod, 'created', FOREVER);
    await rig.daemon.client.stop(pod.id);
    assert.equal((await rig.status(running)).exitCode, 137);
    await assert.rejects(rig.startContainer(created), { code: status.FAILED_PRECONDITION });
    await rig.daemon.client.remove(pod.id);
    assert.deepEqual(await rig.list(), []);
  });

  it('are stopped without an error at the very moment when they end by themselves', async () => {
    const stopAtItsEnd = async (name: string, afterMs: number): Promise<void> => {
      const pod = await rig.runPod(name);
      const id = await rig.run(pod, 'short', ['true'], own);
      await sleep(afterMs);
      await rig.stop(id, 10);
      await rig.daemon.client.stop(pod.id);
      await rig.daemon.client.remove(pod.id);
    };
    // When that moment is depends on the machine: each tries another one.
    for (let first = 0; first < 40; first += 4)
      await Promise.all([0, 1, 2, 3].map((more) => stopAtItsEnd(`moment-${first + more}`, first + more)));
    // Forty pods with a container each take a busy machine longer than what one test usually has.
  }).timeout(600_000);

  it('tell in their verbose status what containerd’s tell', async () => {
    const pod = await rig.runPod('verbose');
    const id = await rig.run(pod, 'main', FOREVER, own);
    const { info } = await rig.statusResponse(id, true);
    const told = JSON.parse(info['info'] ?? '{}') as Record<string, unknown>;
    assert.deepEqual(
      [told['sandboxID'], told['snapshotKey'], told['snapshotter'], told['pid']],
      [pod.id, id, 'overlayfs', await pidOf(id)],
    );
    const { process: first } = told['runtimeSpec'] as { process: { args: string[] } };
    assert.deepEqual(first.args, FOREVER);
    assert.deepEqual((told['config'] as { log_path: string }).log_path, 'main.log');
    assert.match(await rig.ctr('snapshots', '--snapshotter', 'overlayfs', 'ls'), new RegExp(id));
  });

  it('are known to ctr, with their image and whose they are', async () => {
    const pod = await rig.runPod('seen');
    const id = await rig.run(pod, 'main', FOREVER, own);
    assert.match(await rig.ctr('containers', 'ls'), new RegExp(id));
    const info = JSON.parse(await rig.ctr('containers', 'info', id)) as {
      Image: string;
      Labels: Record<string, string>;
    };
    assert.ok(info.Image === imageName || info.Image.startsWith('sha256:'));
    assert.equal(info.Labels['io.berth.sandbox'], pod.id);
  });

  it('are not taken for another container of containerd’s, by whose id theirs begins', async () => {
    const pod = await rig.runPod('prefix');
    const id = await rig.run(pod, 'main', FOREVER, own);
    await rig.ctr('run', '--rm', '--cgroup', `/${rig.cgroup}/foreign`, imageName, id.slice(0, 2), 'true');
    // So long a container that has ended has to write its last words.
    await sleep(2_500);
    await rig.exec(id, ['sh', '-c', 'echo still here > /proc/1/fd/1']);
    await rig.logged(pod, 'main', /still here/);
  });

  it('stop while they are being started', async () => {
    const pod = await rig.runPod('race');
    const ids = await Promise.all([1, 2, 3, 4].map((n) => rig.create(pod, `c${n}`, FOREVER, own)));
    const starts = ids.map((id) => rig.startContainer(id).catch(() => undefined));
    await sleep(30);
    await rig.daemon.client.stop(pod.id);
    await Promise.all(starts);
    for (const id of ids) assert.notEqual((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });

  async function pidOf(id: string): Promise<number> {
    const { info } = await rig.statusResponse(id, true);
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  }

  async function pausePid(sandbox: string): Promise<number> {
    const { info } = await rig.daemon.client.podStatus(sandbox, true);
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  }
});
