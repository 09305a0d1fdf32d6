import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, ends } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
/** Counts into its log until it is told to end. */
const COUNT = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done'];

describe('containers that outlive a daemon', () => {
  let rig: ContainerRig;

  beforeEach(async () => {
    rig = await ContainerRig.start();
  });

  afterEach(async () => {
    try {
      await rig.clear();
    } finally {
      await rig[Symbol.asyncDispose]();
    }
  });

  it('go on after kill -9 of Berth with pid and log, and can be stopped and executed in', async () => {
    const pod = await rig.runPod('stays');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^5$/m);
    const before = await rig.status(id);
    await rig.daemon.kill();
    const last = numbers(rig.logText(pod, 'count')).at(-1) ?? 0;
    await rig.daemon.start();
    const after = await rig.status(id);
    assert.equal(after.state, 'CONTAINER_RUNNING');
    assert.equal(after.startedAt, before.startedAt);
    await rig.logged(pod, 'count', new RegExp(`^${last + 20}$`, 'm'));
    assert.equal(await execEventually(id), 'still here\n');
    await rig.stop(id);
    assert.equal((await rig.status(id)).exitCode, 137);
    const seen = numbers(rig.logText(pod, 'count'));
    assert.equal(new Set(seen).size, seen.length, 'a line is there twice');
    assert.equal(seen[0], 1);
  });

  it('lose no line over SIGTERM of Berth', async () => {
    const pod = await rig.runPod('term');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.logged(pod, 'count', /^5$/m);
    assert.equal(await rig.daemon.stop(), 0);
    const last = numbers(rig.logText(pod, 'count')).at(-1) ?? 0;
    await rig.daemon.start();
    await rig.logged(pod, 'count', new RegExp(`^${last + 20}$`, 'm'));
    await rig.stop(id);
    const seen = numbers(rig.logText(pod, 'count'));
    assert.deepEqual(
      seen,
      seen.map((_, i) => i + 1),
    );
  });

  describe('that were being started when Berth was killed', () => {
    it('run, with their log, and their end is reported', async () => {
      const pod = await rig.runPod('begun');
      const id = await rig.run(pod, 'count', COUNT, own);
      const { pid } = infoOf(await rig.statusResponse(id, true));
      await killIn('running', id);
      await rig.daemon.start();
      await eventually('it runs', async () =>
        (await rig.status(id)).state === 'CONTAINER_RUNNING' ? true : undefined,
      );
      assert.equal(infoOf(await rig.statusResponse(id, true)).pid, pid);
      const last = numbers(rig.logText(pod, 'count')).at(-1) ?? 0;
      await rig.logged(pod, 'count', new RegExp(`^${last + 20}$`, 'm'));
      assert.equal(await execEventually(id), 'still here\n');
      await rig.stop(id);
      assert.equal((await rig.status(id)).exitCode, 137);
    });

    it('and have ended meanwhile are reported with their code', async () => {
      const pod = await rig.runPod('brief');
      const id = await rig.run(pod, 'main', ends(7), own);
      await rig.logged(pod, 'main', /ready/);
      const { pid } = infoOf(await rig.statusResponse(id, true));
      await killIn('running', id);
      await end(pid);
      await rig.daemon.start();
      const { exitCode, startedAt, finishedAt } = await rig.ended(id);
      assert.equal(exitCode, 7);
      assert.ok(BigInt(startedAt) > 0n && BigInt(startedAt) <= BigInt(finishedAt));
    });

    it('are ended when their sandbox is stopped meanwhile', async () => {
      const pod = await rig.runPod('over');
      const id = await rig.run(pod, 'main', ['sleep', '3600'], own);
      await killIn('running', id);
      await rig.daemon.start();
      await rig.daemon.client.stop(pod.id);
      await eventually('nothing runs', async () =>
        (await rig.ctr('tasks', 'ls', '--quiet')) === '' ? true : undefined,
      );
      assert.notEqual((await rig.status(id)).state, 'CONTAINER_RUNNING');
    });
  });

  it('are ended before the network is taken away where the Stop of their sandbox was cut off', async () => {
    const pod = await rig.runPod('halfway');
    const other = await rig.runPod('other');
    const id = await rig.run(pod, 'main', ['sleep', '3600'], own);
    const { info } = await rig.daemon.client.podStatus(other.id, true);
    await rig.daemon.kill();
    await appendFile(join(rig.directory, 'root', 'sandboxes', `${pod.id}.jsonl`), stopping(pod.id));
    // So that a thread which takes networks down runs already.
    await execa('umount', [netnsOf(info['info'])]);
    await rig.daemon.start();
    await rig.ended(id);
    await eventually('it is stopped', async () => {
      const { status, info } = await rig.daemon.client.podStatus(pod.id, true);
      assert.equal(status?.state, 'SANDBOX_NOTREADY');
      return info['info']?.includes('"phase":"stopped"') === true ? true : undefined;
    });
    await eventually('nothing runs', async () =>
      (await rig.ctr('tasks', 'ls', '--quiet')) === '' ? true : undefined,
    );
  });

  it('that ended meanwhile are reported with their code', async () => {
    const pod = await rig.runPod('away');
    const id = await rig.run(pod, 'main', ends(9), own);
    await rig.logged(pod, 'main', /ready/);
    const { pid } = infoOf(await rig.statusResponse(id, true));
    await rig.daemon.kill();
    await end(pid);
    await rig.daemon.start();
    const ended = await rig.ended(id);
    assert.equal(ended.exitCode, 9);
    assert.equal(ended.reason, 'Error');
    assert.match(rig.logText(pod, 'main'), /^ready\n/);
  });

  it('go on while containerd is killed, and their ends are seen by the next one', async () => {
    const pod = await rig.runPod('engine');
    const stays = await rig.run(pod, 'count', COUNT, own);
    const brief = await rig.run(pod, 'brief', ends(4), own);
    await rig.logged(pod, 'brief', /ready/);
    const { pid } = infoOf(await rig.statusResponse(brief, true));
    const dead = rig.enginePid;
    process.kill(dead, 'SIGKILL');
    await rig.engineAfter(dead);
    assert.equal(await execEventually(brief), 'still here\n');
    await end(pid);
    assert.equal((await rig.ended(brief)).exitCode, 4);
    assert.equal((await rig.status(stays)).state, 'CONTAINER_RUNNING');
    const last = numbers(rig.logText(pod, 'count')).at(-1) ?? 0;
    await rig.logged(pod, 'count', new RegExp(`^${last + 5}$`, 'm'));
    assert.equal(await execEventually(stays), 'still here\n');
    const more = await rig.run(pod, 'more', ['sleep', '3600'], own);
    assert.equal((await rig.status(more)).state, 'CONTAINER_RUNNING');
    assert.equal(rig.shims().length, 1);
  });

  it('go on while Berth and containerd are both killed, and those that end meanwhile are reported', async () => {
    const pod = await rig.runPod('both');
    const stays = await rig.run(pod, 'count', COUNT, own);
    const brief = await rig.run(pod, 'brief', ends(6), own);
    await rig.logged(pod, 'count', /^5$/m);
    await rig.logged(pod, 'brief', /ready/);
    const { pid } = infoOf(await rig.statusResponse(brief, true));
    const dead = rig.enginePid;
    await rig.daemon.kill();
    process.kill(dead, 'SIGKILL');
    const last = numbers(rig.logText(pod, 'count')).at(-1) ?? 0;
    await end(pid);
    await rig.daemon.start();
    const { exitCode, reason } = await rig.ended(brief);
    assert.deepEqual([exitCode, reason], [6, 'Error']);
    assert.equal((await rig.status(stays)).state, 'CONTAINER_RUNNING');
    await rig.logged(pod, 'count', new RegExp(`^${last + 20}$`, 'm'));
    const seen = numbers(rig.logText(pod, 'count'));
    assert.equal(new Set(seen).size, seen.length, 'a line is there twice');
    assert.notEqual(rig.enginePid, dead);
    assert.equal(await execEventually(stays), 'still here\n');
    await rig.stop(stays);
    assert.equal((await rig.status(stays)).exitCode, 137);
  });

  it('are gone with their shim: EXITED, 255, Unknown', async () => {
    const pod = await rig.runPod('shim');
    const id = await rig.run(pod, 'count', COUNT, own);
    await rig.daemon.kill();
    for (const shim of rig.shims()) process.kill(shim, 'SIGKILL');
    await rig.daemon.start();
    const ended = await rig.ended(id);
    // containerd cleans up after a dead shim, and may tell of the kill.
    assert.ok([137, 255].includes(ended.exitCode), String(ended.exitCode));
  });

  it('whose shim does not answer when Berth comes back are looked at again, and not given up', async () => {
    const pod = await rig.runPod('stuck');
    const stays = await rig.run(pod, 'stays', ['sleep', '3600'], own);
    const brief = await rig.run(pod, 'brief', ends(5), own);
    await rig.logged(pod, 'brief', /ready/);
    const { pid } = infoOf(await rig.statusResponse(brief, true));
    await rig.daemon.kill();
    await end(pid);
    const shims = rig.shims();
    for (const shim of shims) process.kill(shim, 'SIGSTOP');
    try {
      await rig.daemon.start();
      // containerd waits two seconds for a shim, and what ended has as long to write its last words.
      await sleep(5_000);
    } finally {
      for (const shim of shims) process.kill(shim, 'SIGCONT');
    }
    assert.equal((await rig.ended(brief)).exitCode, 5);
    await rig.exec(stays, ['sh', '-c', 'echo still here > /proc/1/fd/1']);
    await rig.logged(pod, 'stays', /still here/);
  });

  it('that ended meanwhile are reported, though one that was half made cannot be removed yet', async () => {
    const pod = await rig.runPod('half');
    const half = await rig.create(pod, 'half', ['sleep', '3600'], own);
    const id = await rig.run(pod, 'main', ends(8), own);
    await rig.logged(pod, 'main', /ready/);
    const { pid } = infoOf(await rig.statusResponse(id, true));
    const path = await killIn('created', half);
    await execa('mount', ['--bind', path, path]);
    try {
      await end(pid);
      await rig.daemon.start();
      assert.equal((await rig.ended(id)).exitCode, 8);
      assert.ok(existsSync(path));
    } finally {
      await execa('umount', [path]);
    }
    await eventually('it is removed', () => (existsSync(path) ? undefined : true));
  });

  /** Kills Berth, and has it forget the last phase of a container; returns the path of its record. */
  async function killIn(phase: string, id: string): Promise<string> {
    await rig.daemon.kill();
    const path = join(rig.directory, 'root', 'containers', `${id}.jsonl`);
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    assert.ok(lines.pop()?.includes(`"phase":"${phase}"`));
    await writeFile(path, lines.map((line) => `${line}\n`).join(''));
    return path;
  }

  /** The state that a Stop which has just begun records. */
  function stopping(id: string): string {
    const lines = readFileSync(join(rig.directory, 'root', 'sandboxes', `${id}.jsonl`), 'utf8').split('\n');
    return `${(lines.at(-2) ?? '').replace('"phase":"ready"', '"phase":"stopping"')}\n`;
  }

  /** The engine takes a moment to be there again. */
  function execEventually(id: string): Promise<string> {
    return eventually('an exec', () =>
      rig.exec(id, ['echo', 'still here']).then(
        ({ stdout }) => stdout,
        () => undefined,
      ),
    );
  }
});

/** Ends the first process of a container made with `ends`; it is gone once its shim has seen that. */
async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGUSR1');
  await eventually('it has ended', () => (existsSync(`/proc/${pid}`) ? undefined : true));
}

function infoOf({ info }: { info: Record<string, string> }): { pid: number } {
  return JSON.parse(info['info'] ?? '') as { pid: number };
}

function netnsOf(info = ''): string {
  const { runtimeSpec } = JSON.parse(info) as {
    runtimeSpec: { linux: { namespaces: { type: string; path: string }[] } };
  };
  return runtimeSpec.linux.namespaces.find(({ type }) => type === 'network')?.path ?? '';
}

function numbers(text: string): number[] {
  return text.split('\n').slice(0, -1).map(Number);
}
