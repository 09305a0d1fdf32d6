import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContainerSpec, containerOf, IDLE, type Pod, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';

// One failure counts; a probe that is only slow is none.
const EACH_SECOND = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10 };
const STARTUP = { ...EACH_SECOND, failureThreshold: 60 };

/** One container for each kind of probe, which succeeds as long as the file `<kind>` is in its volume. */
const KINDS = ['exec', 'http', 'tcp'] as const;

type Probe = 'readinessProbe' | 'livenessProbe' | 'startupProbe';

function probed(kind: (typeof KINDS)[number], probe: Probe, more: object = {}): ContainerSpec {
  const { script, action } = {
    exec: { script: IDLE, action: { exec: { command: ['test', '-f', '/control/exec'] } } },
    http: {
      script: 'exec httpd -f -p 8080 -h /control',
      action: { httpGet: { path: '/http', port: 8080 } },
    },
    tcp: {
      // Listens while its file is there.
      script:
        'while :; do until [ -f /control/tcp ]; do sleep 0.1; done; nc -lk -p 9090 -e true & ' +
        'while [ -f /control/tcp ]; do sleep 0.1; done; kill $!; done',
      action: { tcpSocket: { port: 9090 } },
    },
  }[kind];
  const volumeMounts = [{ name: 'control', mountPath: '/control' }];
  return shell(kind, script, { [probe]: { ...action, ...EACH_SECOND }, volumeMounts, ...more });
}

describe('probes of a kubelet', function () {
  this.timeout(SPEC_MS);
  let rig: KubeletRig;

  before(async () => {
    rig = await KubeletRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  /** A pod of these containers, with a directory of the machine as /control. */
  async function apply(name: string, containers: ContainerSpec[]): Promise<string> {
    const path = await rig.hostDirectory(name);
    const volumes = [{ name: 'control', hostPath: { path } }];
    await rig.apply({ name, spec: { volumes, containers, terminationGracePeriodSeconds: 0 } });
    return path;
  }

  function ready(pod: Pod): string[] {
    return KINDS.filter((kind) => containerOf(pod, kind)?.ready);
  }

  function running(pod: Pod): boolean {
    return KINDS.every((kind) => containerOf(pod, kind)?.state.running !== undefined);
  }

  it('readiness follows exec, HTTP and TCP to the pod, and restarts nothing', async () => {
    const control = await apply(
      'readiness',
      KINDS.map((kind) => probed(kind, 'readinessProbe')),
    );
    const first = await rig.until('all run', 'readiness', running);
    assert.deepEqual(ready(first), []);
    for (const [index, kind] of KINDS.entries()) {
      await writeFile(join(control, kind), '');
      const expected = KINDS.slice(0, index + 1);
      await rig.until(`${kind} is ready`, 'readiness', (pod) => ready(pod).includes(kind));
      assert.deepEqual(ready(await rig.present('readiness')), expected);
    }
    for (const kind of KINDS) await rm(join(control, kind));
    const last = await rig.until('none is ready', 'readiness', (pod) => ready(pod).length === 0);
    for (const kind of KINDS) assert.equal(containerOf(last, kind)?.restartCount, 0);
  });

  it('liveness that fails, by exec, HTTP and TCP, restarts that container and no other', async () => {
    // Each brings its own file when it starts, and is not asked before it is up.
    const alive = (kind: (typeof KINDS)[number]): ContainerSpec => {
      const container = probed(kind, 'livenessProbe');
      const [, , script = ''] = container['command'] as string[];
      return {
        ...container,
        startupProbe: { ...(container['livenessProbe'] as object), ...STARTUP },
        command: ['sh', '-c', `touch /control/${kind}; ${script}`],
      };
    };
    const control = await apply('liveness', KINDS.map(alive));
    await rig.until('all are up', 'liveness', (pod) => ready(pod).length === KINDS.length);
    for (const [index, kind] of KINDS.entries()) {
      await rm(join(control, kind));
      const pod = await rig.until(`${kind} runs again`, 'liveness', (it) => {
        const container = containerOf(it, kind);
        return container?.restartCount === 1 && container.state.running !== undefined;
      });
      assert.ok(containerOf(pod, kind)?.lastState.terminated, 'its last state is kept');
      const others = KINDS.slice(index + 1);
      for (const other of others) assert.equal(containerOf(pod, other)?.restartCount, 0);
    }
  });

  it('startup, by exec, HTTP and TCP, holds readiness and liveness back', async () => {
    const readinessProbe = {
      exec: { command: ['sh', '-c', 'echo asked >> /control/asked'] },
      ...EACH_SECOND,
    };
    const livenessProbe = { exec: { command: ['test', '-f', '/control/alive'] }, ...EACH_SECOND };
    const containers = KINDS.map((kind) => {
      const container = probed(kind, 'startupProbe', { readinessProbe, livenessProbe });
      return {
        ...container,
        startupProbe: { ...(container['startupProbe'] as object), ...STARTUP },
      };
    });
    // How often kubelet has tried is seen here only.
    const tries = shell('tries', IDLE, {
      startupProbe: {
        exec: { command: ['sh', '-c', 'echo tried >> /control/tries; test -f /control/exec'] },
        ...STARTUP,
      },
      volumeMounts: [{ name: 'control', mountPath: '/control' }],
    });
    const control = await apply('startup', [...containers, tries]);
    await rig.until('all run', 'startup', running);
    await rig.eventually('startup was tried three times', () => rig.lines(join(control, 'tries'), 3));
    assert.equal(rig.lines(join(control, 'asked'), 0)?.length, 0);
    for (const kind of KINDS) {
      const before = containerOf(await rig.present('startup'), kind);
      assert.deepEqual([before?.started, before?.ready], [false, false]);
    }
    for (const name of ['alive', ...KINDS]) await writeFile(join(control, name), '');
    const pod = await rig.until('all are ready', 'startup', (it) => ready(it).length === KINDS.length);
    for (const kind of KINDS) {
      const container = containerOf(pod, kind);
      assert.deepEqual([container?.started, container?.restartCount], [true, 0]);
    }
  });

  it('nothing that kubelet called an error was of our making', () => {
    assert.deepEqual(rig.errors(), []);
  });
});
