import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerOf, criId, IDLE, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';

describe('the life of containers under a kubelet', function () {
  this.timeout(SPEC_MS);
  let rig: KubeletRig;

  before(async () => {
    rig = await KubeletRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  it('a container that crashes is started again, with back-off, and counted; its pod stays', async () => {
    const spec = { containers: [shell('crashing', 'echo run; exit 7'), shell('steady', IDLE)] };
    await rig.apply({ name: 'crash', spec });
    const first = await rig.until(
      'both have started',
      'crash',
      (pod) => containerOf(pod, 'steady')?.state.running !== undefined,
    );
    const sandbox = await rig.sandbox(first);
    const pod = await rig.until('it waits after the third restart', 'crash', (it) => {
      const container = containerOf(it, 'crashing');
      return (container?.restartCount ?? 0) >= 3 && container?.state.waiting?.reason === 'CrashLoopBackOff';
    });
    const crashing = containerOf(pod, 'crashing');
    assert.equal(crashing?.lastState.terminated?.exitCode, 7);
    assert.equal(crashing.lastState.terminated.reason, 'Error');
    assert.equal(containerOf(pod, 'steady')?.restartCount, 0);
    assert.equal(await rig.sandbox(pod), sandbox);
    assert.equal(pod.status.podIP, first.status.podIP);
    const { status } = await rig.daemon.client.containerStatus(criId(crashing));
    assert.equal(status?.metadata?.attempt, crashing.restartCount);
    assert.equal(await rig.log(pod, 'crashing', crashing.restartCount), 'run\n');
  });

  it('a container that takes more memory than it may is OOMKilled, and restarted', async () => {
    const resources = { limits: { memory: '16Mi' }, requests: { memory: '8Mi' } };
    await rig.apply({
      name: 'greedy',
      spec: { containers: [shell('one', 'exec tail /dev/zero', { resources })] },
    });
    const pod = await rig.until(
      'it was killed and restarted',
      'greedy',
      (it) => (containerOf(it, 'one')?.restartCount ?? 0) >= 1,
    );
    const last = containerOf(pod, 'one')?.lastState.terminated;
    assert.equal(last?.reason, 'OOMKilled');
    assert.equal(last.exitCode, 137);
  });

  it('preStop runs before SIGTERM, and SIGKILL comes after the grace period', async () => {
    const directory = await rig.hostDirectory('stop');
    const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
    const note = (text: string): string => `echo ${text} $(cut -d " " -f 1 /proc/uptime) >> /shared/notes`;
    await rig.run({
      name: 'stop',
      spec: {
        terminationGracePeriodSeconds: 6,
        volumes: [{ name: 'shared', hostPath: { path: directory } }],
        containers: [
          shell(
            'stubborn',
            `trap '${note('term')}' TERM; while :; do ${note('beat')}; sleep 0.1 & wait; done`,
            {
              volumeMounts,
              lifecycle: { preStop: { exec: { command: ['sh', '-c', note('prestop')] } } },
            },
          ),
        ],
      },
    });
    await rig.remove('stop');
    await rig.ended('stop');
    const lines = (await readFile(join(directory, 'notes'), 'utf8')).trimEnd().split('\n');
    const notes = lines.map((line) => ({ what: line.split(' ')[0] ?? '', at: Number(line.split(' ')[1]) }));
    const order = notes.map(({ what }) => what).filter((what) => what !== 'beat');
    assert.deepEqual(order, ['prestop', 'term']);
    const at = (what: string): number => notes.findLast((note_) => note_.what === what)?.at ?? NaN;
    // Two seconds are the least that kubelet leaves for it after a slow preStop.
    assert.ok(at('beat') - at('term') > 1, `it had from ${at('term')} to ${at('beat')}`);
  });

  it('a postStart hook runs in the container before it counts as running', async () => {
    const pod = await rig.run({
      name: 'hooked',
      spec: {
        containers: [
          shell('one', `until [ -f /tmp/hooked ]; do sleep 0.1; done; echo hooked; ${IDLE}`, {
            lifecycle: { postStart: { exec: { command: ['touch', '/tmp/hooked'] } } },
          }),
        ],
      },
    });
    await rig.logged(pod, 'one', /^hooked$/m);
  });

  it('nothing that kubelet called an error was of our making', () => {
    assert.deepEqual(rig.errors(), []);
  });
});
