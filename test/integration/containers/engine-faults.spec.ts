import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServiceError, status } from '@grpc/grpc-js';
import { argvOf } from '../../../src/containerd/embedded/process.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, runs, type Pod } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const shared = { linux: { securityContext: { namespaceOptions: { pid: 'POD' } } } } as const;
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
/** From before the call has reached containerd to when it has done most of it. */
const DELAYS_MS = [0, 10, 40];

/** The argument that tells a held runc from everything else on the machine. */
let hold: string;

/** A runc that does not come back from the command that is named in a file `runc.on` beside it, though it has done it. */
const heldRunc = (): string => `#!/bin/sh
runc "$@"
code=$?
held=$(cat "$0.on" 2>/dev/null || echo nothing)
case " $* " in *" $held "*) exec sleep ${hold} ;; esac
exit $code
`;

/** Whether that runc is held. */
function holds(): boolean {
  return runs(hold);
}

/** A shim's program that has started the shim, and does not tell containerd as long as that lives. */
const SLOW_SHIM = `#!/bin/sh
case " $* " in *" start "*) ;; *) exec "$REAL_SHIM" "$@" ;; esac
told=$("$REAL_SHIM" "$@") || exit
lives() { [ -e /proc/$PPID ] && ! grep -q '^State:.Z' /proc/$PPID/status; }
while lives; do sleep 0.05; done 2> /dev/null
printf %s "$told"
`;

describe('a containerd that dies before its shim has told it of itself', () => {
  const { PATH = '' } = process.env;
  let programs: string;
  let rig: ContainerRig;

  before(async () => {
    programs = await mkdtemp(join(tmpdir(), 'berth-shim-'));
    await writeFile(join(programs, 'containerd-shim-runc-v2'), SLOW_SHIM, { mode: 0o755 });
    process.env['REAL_SHIM'] = PATH.split(':')
      .map((directory) => join(directory, 'containerd-shim-runc-v2'))
      .find((file) => existsSync(file));
    process.env['PATH'] = `${programs}:${PATH}`;
    rig = await ContainerRig.start();
  });

  after(async () => {
    process.env['PATH'] = PATH;
    delete process.env['REAL_SHIM'];
    await rig[Symbol.asyncDispose]();
    await rm(programs, { recursive: true });
  });

  for (const [what, isBerthKilled] of [
    ['leaves no shim', false],
    ['leaves no shim when Berth dies with it', true],
  ] as const) {
    it(what, async () => {
      const pod = await rig.runPod(`told-${isBerthKilled}`);
      const id = await rig.create(pod, 'main', FOREVER, own);
      const dead = rig.enginePid;
      const started = rig.startContainer(id).catch((error: unknown) => error as ServiceError);
      // The program that starts it has the same name.
      const isThere = (): boolean => rig.shims().some((pid) => argvOf(pid).at(-1) !== 'start');
      await eventually('the shim is there', () => (isThere() ? true : undefined));
      if (isBerthKilled) await rig.daemon.kill();
      process.kill(dead, 'SIGKILL');
      assert.equal((await started)?.code, status.UNAVAILABLE);
      if (isBerthKilled) await rig.daemon.start();
      await rig.engineAfter(dead);
      await eventually('the container is removed', () =>
        rig.remove(id).then(
          () => true,
          () => undefined,
        ),
      );
      assert.deepEqual(rig.shims(), []);
    });
  }
});

describe('a containerd that is killed in the middle of', () => {
  let rig: ContainerRig;
  let held: string;

  // One for each test: the more often a containerd ends, the longer its supervisor waits.
  beforeEach(async () => {
    const paused = { type: 'io.containerd.runc.v2', sandbox: 'pause' };
    held = join(await mkdtemp(join(tmpdir(), 'berth-held-')), 'runc');
    hold = `3601.${randomInt(1_000_000)}`;
    await writeFile(held, heldRunc(), { mode: 0o755 });
    const holding = { type: 'io.containerd.runc.v2', binary: held };
    const runtimes = { runc: { type: 'io.containerd.runc.v2' }, paused, held: holding };
    rig = await ContainerRig.start({ config: { containerd: { runtimes } } });
    // Unpacked beforehand: what is tested is not that.
    const pod = await rig.runPod('first');
    await rig.create(pod, 'main', FOREVER, own);
    await rig.clear();
  });

  afterEach(async () => {
    try {
      // One that was held stays until it expires.
      const leases = await rig.ctr('leases', 'ls', '--quiet');
      for (const id of leases.split('\n').filter((line) => line !== '')) await rig.ctr('leases', 'rm', id);
      await rig.clear();
    } finally {
      await rig[Symbol.asyncDispose]();
      await rm(dirname(held), { recursive: true });
    }
  });

  /**
   * What containerd 2 says between its start and its first garbage collection, 0.1 s later, when it was killed after it had made a
   * snapshot's directory and before it recorded it.
   */
  const LEFTOVER = /failed to rename: rename .*\/snapshots\/.*: file exists/;

  /** Waits for the containerd after the one of this pid. */
  async function readyAfter(dead: number): Promise<void> {
    await rig.engineAfter(dead);
    await eventually('the runtime is ready', async () => {
      const { status: told } = await rig.daemon.client.status();
      return told?.conditions.find(({ type }) => type === 'RuntimeReady')?.status === true ? true : undefined;
    });
  }

  /** Does something while containerd is killed, then until it succeeds. What it says meanwhile must be clear. */
  async function survive<T>(delayMs: number, act: () => Promise<T>): Promise<T> {
    const dead = rig.enginePid;
    const outcome = act().then(
      (value) => ({ value }),
      (error: unknown) => error as ServiceError,
    );
    await sleep(delayMs);
    process.kill(dead, 'SIGKILL');
    const first = await outcome;
    await readyAfter(dead);
    if ('value' in first) return first.value;
    assert.ok([status.UNAVAILABLE, status.NOT_FOUND].includes(first.code), `${first.code}: ${first.details}`);
    const second = await eventually('it succeeds', () =>
      act().then(
        (value) => ({ value }),
        (error: unknown) => {
          if (!LEFTOVER.test((error as ServiceError).details)) throw error;
          return undefined;
        },
      ),
    );
    return second.value;
  }

  const rounds = async (name: string, round: (pod: Pod, delayMs: number) => Promise<void>): Promise<void> => {
    for (const [i, delayMs] of DELAYS_MS.entries()) await round(await rig.runPod(`${name}-${i}`), delayMs);
  };

  it('CreateContainer', async () => {
    await rounds('create', async (pod, delayMs) => {
      const id = await survive(delayMs, () => rig.create(pod, 'main', FOREVER, own));
      await rig.startContainer(id);
      assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    });
  });

  it('StartContainer', async () => {
    await rounds('start', async (pod, delayMs) => {
      const start = async (): Promise<string> => {
        const id = await rig.create(pod, 'main', FOREVER, own);
        await rig.startContainer(id);
        return id;
      };
      const id = await survive(delayMs, start);
      assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    });
  });

  it('StartContainer, and what it has started is ended', async () => {
    const pod = await rig.runPod('begun', {}, 'held');
    const id = await rig.create(pod, 'main', ['sleep', '4730'], own);
    await writeFile(`${held}.on`, 'start');
    const outcome = rig.startContainer(id).catch((error: unknown) => error as ServiceError);
    await eventually('it runs', () => (runs('4730') ? true : undefined));
    process.kill(rig.enginePid, 'SIGKILL');
    assert.equal(((await outcome) as ServiceError).code, status.UNAVAILABLE);
    await eventually('it has ended', () => (runs('4730') ? undefined : true));
    await rm(`${held}.on`);
    const { state, exitCode, reason } = await rig.status(id);
    assert.deepEqual([state, exitCode, reason], ['CONTAINER_EXITED', 128, 'StartError']);
  });

  it('CreateContainer, and a pause process that it has started is ended', async () => {
    const pod = await rig.runPod('pausing', {}, 'held');
    await writeFile(`${held}.on`, 'start');
    const outcome = rig.create(pod, 'main', FOREVER, shared).catch((error: unknown) => error as ServiceError);
    await eventually('it is held', () => (holds() ? true : undefined));
    process.kill(rig.enginePid, 'SIGKILL');
    assert.equal(((await outcome) as ServiceError).code, status.UNAVAILABLE);
    await rm(`${held}.on`);
    await eventually('it has ended', () => (rig.shims().length === 0 ? true : undefined));
    const id = await rig.run(pod, 'main', FOREVER, shared);
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });

  it('StopContainer', async () => {
    await rounds('stop', async (pod, delayMs) => {
      const id = await rig.run(pod, 'main', FOREVER, own);
      await survive(delayMs, () => rig.stop(id, 1));
      assert.equal((await rig.ended(id)).exitCode, 137);
    });
  });

  it('RemoveContainer', async () => {
    await rounds('remove', async (pod, delayMs) => {
      const id = await rig.run(pod, 'main', FOREVER, own);
      await survive(delayMs, () => rig.remove(id));
      assert.ok(!(await rig.list()).includes(id));
      assert.doesNotMatch(await rig.ctr('containers', 'ls'), new RegExp(id));
      assert.doesNotMatch(await rig.ctr('snapshots', 'ls'), new RegExp(id));
    });
  });

  it('ExecSync, which does without it', async () => {
    await rounds('exec', async (pod, delayMs) => {
      const id = await rig.run(pod, 'main', FOREVER, own);
      const dead = rig.enginePid;
      const ran = rig.exec(id, ['sh', '-c', 'sleep 0.1; echo done']);
      await sleep(delayMs);
      process.kill(dead, 'SIGKILL');
      assert.equal((await ran).stdout, 'done\n');
      assert.equal((await rig.exec(id, ['echo', 'one more'])).stdout, 'one more\n');
      await readyAfter(dead);
      assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    });
  });

  it('the Start of an exec, as Berth is, and what it has started is ended, and nothing else', async () => {
    const pod = await rig.runPod('stray', {}, 'held');
    const id = await rig.run(pod, 'main', ['sh', '-c', 'sleep 4721 & exec sleep 4722'], own);
    await rig.ctr(
      'tasks',
      'exec',
      '--detach',
      '--exec-id',
      'another',
      id,
      'sh',
      '-c',
      'sleep 4723 & exec sleep 4724',
    );
    await rig.ctr('tasks', 'exec', '--detach', '--exec-id', 'over', id, 'sh', '-c', 'sleep 4725 &');
    const others = ['4721', '4722', '4723', '4724', '4725'];
    await eventually('all others run', () => (others.every(runs) ? true : undefined));
    await writeFile(`${held}.on`, 'exec');
    const outcome = rig.exec(id, ['sleep', '4720']).catch((error: unknown) => error as ServiceError);
    await eventually('it runs', () => (runs('4720') ? true : undefined));
    const dead = rig.enginePid;
    await rig.daemon.kill();
    process.kill(dead, 'SIGKILL');
    assert.equal(((await outcome) as ServiceError).code, status.UNAVAILABLE);
    assert.ok(runs('4720'));
    await rig.daemon.start();
    await eventually('it has ended', () => (runs('4720') ? undefined : true));
    await rm(`${held}.on`);
    assert.deepEqual(
      others.filter((one) => !runs(one)),
      [],
    );
    assert.equal((await rig.exec(id, ['echo', 'one more'])).stdout, 'one more\n');
  });

  it('RunPodSandbox and StopPodSandbox, with a pause process', async () => {
    for (const [i, delayMs] of [5, 60].entries()) {
      const pod = await survive(delayMs, () => rig.runPod(`paused-${i}`, {}, 'paused'));
      await rig.run(pod, 'main', FOREVER, own);
      await survive(delayMs, () => rig.daemon.client.stop(pod.id));
      const { status: told } = await rig.daemon.client.podStatus(pod.id);
      assert.equal(told?.state, 'SANDBOX_NOTREADY');
      await rig.daemon.client.remove(pod.id);
    }
    assert.deepEqual(await rig.daemon.client.list(), []);
  });
});
