import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import type { PodSandboxStatsResponse__Output } from '../../../src/gen/runtime/v1/PodSandboxStatsResponse.ts';
import type { RuntimeConfigResponse__Output } from '../../../src/gen/runtime/v1/RuntimeConfigResponse.ts';
import { cgroupOf } from '../../helpers/cgroups.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, type Pod } from '../../integration/containers/rig.ts';

const FOREVER = ['sleep', '3600'];
const MIB = 1 << 20;
const own = { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } as const;

describe('containers in the slices of systemd', () => {
  let rig: ContainerRig;
  /** What kubelet calls kubepods: the slice above those of all pods. */
  let top: string;

  before(async () => {
    rig = await ContainerRig.start();
    top = rig.cgroup.replaceAll('-', '');
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
    const left = await units(`*.scope`);
    // As kubelet does once a pod is gone. Below the last of them nothing may be left.
    await execa('systemctl', ['stop', `${top}.slice`]);
    assert.deepEqual(
      left.filter((unit) => unit !== 'init.scope'),
      [],
    );
    await eventually('systemd has removed the slices', async () =>
      existsSync(`/sys/fs/cgroup/${top}.slice`) ? undefined : true,
    );
    assert.deepEqual(
      (await units('*.slice')).filter((unit) => unit.startsWith(top)),
      [],
    );
  });

  it('are what kubelet is told to ask for', async () => {
    const { linux } = await new Promise<RuntimeConfigResponse__Output>((resolve, reject) => {
      rig.daemon.client.runtime.runtimeConfig({}, (error, answer) => {
        if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
        else resolve(answer);
      });
    });
    assert.equal(linux?.cgroupDriver, 'SYSTEMD');
  });

  it('are scopes with their limits, which stay over a reload of systemd and can be changed', async () => {
    const pod = await runPod('limits');
    const resources = {
      ...{ memoryLimitInBytes: 64 * MIB, memorySwapLimitInBytes: 96 * MIB },
      ...{ cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000 },
      unified: { 'pids.max': '50', 'memory.low': String(8 * MIB) },
    };
    const id = await rig.run(pod, 'main', FOREVER, { linux: { ...own, resources } });
    const scope = `berth-${id}.scope`;
    assert.deepEqual(await show(scope, 'ActiveState', 'SubState', 'Slice', 'ControlGroup'), {
      ActiveState: 'active',
      SubState: 'running',
      Slice: sliceOf('limits'),
      ControlGroup: cgroupOfScope('limits', id),
    });
    assert.equal(cgroupOf(await pidOf(id), ''), cgroupOfScope('limits', id));
    const expected = {
      'memory.max': String(64 * MIB),
      'memory.swap.max': String(32 * MIB),
      'memory.low': String(8 * MIB),
      'cpu.max': '50000 100000',
      'cpu.weight': '20',
      'pids.max': '50',
    };
    assert.deepEqual(limits('limits', id), expected);
    await execa('systemctl', ['daemon-reload']);
    assert.deepEqual(limits('limits', id), expected);

    await rig.updateResources(id, {
      ...{ memoryLimitInBytes: 128 * MIB, memorySwapLimitInBytes: 192 * MIB },
      ...{ cpuShares: 1024, cpuQuota: 20_000 },
      unified: { 'pids.max': '60' },
    });
    const updated = {
      ...expected,
      'memory.max': String(128 * MIB),
      'memory.swap.max': String(64 * MIB),
      'cpu.max': '20000 100000',
      'cpu.weight': '39',
      'pids.max': '60',
    };
    assert.deepEqual(limits('limits', id), updated);
    await execa('systemctl', ['daemon-reload']);
    assert.deepEqual(limits('limits', id), updated);
    assert.deepEqual(await show(scope, 'MemoryMax', 'TasksMax'), {
      MemoryMax: String(128 * MIB),
      TasksMax: '60',
    });

    await rig.remove(id);
    assert.equal((await show(scope, 'ActiveState'))['ActiveState'], 'inactive');
    assert.equal(existsSync(directoryOfScope('limits', id)), false);
  });

  it('are in the slice of their pod, whose limits stay kubelet’s', async () => {
    await execa('systemctl', ['start', sliceOf('owned')]);
    await execa('systemctl', ['set-property', '--runtime', sliceOf('owned'), `MemoryMax=${256 * MIB}`]);
    const pod = await runPod('owned', `/${directoryOfSlice('owned')}`);
    const id = await rig.run(pod, 'main', FOREVER, { linux: own });
    assert.equal((await show(`berth-${id}.scope`, 'Slice'))['Slice'], sliceOf('owned'));
    await rig.daemon.client.stop(pod.id);
    await rig.daemon.client.remove(pod.id);
    assert.deepEqual(await show(sliceOf('owned'), 'ActiveState', 'MemoryMax'), {
      ActiveState: 'active',
      MemoryMax: String(256 * MIB),
    });
  });

  it('have the pause process of their pod in a scope of its own', async () => {
    const pod = await runPod('paused');
    const id = await rig.run(pod, 'main', FOREVER);
    const { info } = await rig.daemon.client.podStatus(pod.id, true);
    const { pid } = JSON.parse(info['info'] ?? '{}') as { pid: number };
    assert.equal(cgroupOf(pid, ''), cgroupOfScope('paused', pod.id));
    assert.equal(cgroupOf(await pidOf(id), ''), cgroupOfScope('paused', id));
    await rig.daemon.client.stop(pod.id);
    assert.deepEqual(await units('berth-*.scope'), []);
  });

  it('are measured, and their pod with them', async () => {
    const pod = await runPod('measured');
    const busy = ['sh', '-c', 'while :; do :; done'];
    const id = await rig.run(pod, 'main', busy, { linux: own });
    const stats = await eventually('the container has used the processor', async () => {
      const found = await rig.containerStats(id);
      return Number(found?.cpu?.usageCoreNanoSeconds?.value ?? 0) > 0 ? found : undefined;
    });
    assert.ok(Number(stats?.memory?.usageBytes?.value) > 0);
    const { stats: ofPod } = await new Promise<PodSandboxStatsResponse__Output>((resolve, reject) => {
      rig.daemon.client.runtime.podSandboxStats({ podSandboxId: pod.id }, (error, answer) => {
        if (answer === undefined) reject(error ?? new Error('neither an answer nor an error'));
        else resolve(answer);
      });
    });
    assert.ok(Number(ofPod?.linux?.cpu?.usageCoreNanoSeconds?.value) > 0);
    assert.ok(Number(ofPod?.linux?.process?.processCount?.value) > 0);
    assert.deepEqual(
      ofPod?.linux?.containers.map(({ attributes }) => attributes?.id),
      [id],
    );
  });

  it('that take more memory than they may are OOMKilled, every one of them', async () => {
    const pod = await runPod('oom');
    const hog = ['sh', '-c', 'x=0123456789; while :; do x=$x$x; done'];
    const linux = { ...own, resources: { memoryLimitInBytes: 16 * MIB } };
    for (const name of ['first', 'second', 'third']) {
      const id = await rig.run(pod, name, hog, { linux });
      const ended = await rig.ended(id);
      assert.deepEqual([ended.exitCode, ended.reason], [137, 'OOMKilled']);
    }
  });

  it('go on after kill -9 of Berth, in their scope, and leave none when they are removed', async () => {
    const pod = await runPod('stays');
    const id = await rig.run(pod, 'main', FOREVER);
    const pid = await pidOf(id);
    await rig.daemon.kill();
    await rig.daemon.start();
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    assert.equal(await pidOf(id), pid);
    assert.equal(cgroupOf(pid, ''), cgroupOfScope('stays', id));
    await rig.updateResources(id, { memoryLimitInBytes: 64 * MIB });
    assert.equal(limits('stays', id)['memory.max'], String(64 * MIB));
    await rig.stop(id);
    await rig.remove(id);
    await rig.daemon.client.stop(pod.id);
    assert.deepEqual(await units('berth-*.scope'), []);
  });

  it('that cannot be started leave no scope', async () => {
    const pod = await runPod('broken');
    const id = await rig.create(pod, 'main', ['/no/such/program'], { linux: own });
    await assert.rejects(rig.startContainer(id), /no such file or directory/);
    assert.deepEqual(await units('berth-*.scope'), []);
  });

  it('are refused with the name of the field for a slice that cannot be', async () => {
    for (const cgroupParent of ['a--b.slice', '/kubepods.slice/a b.slice', '.slice'])
      await assert.rejects(rig.runPod('bad', { linux: { cgroupParent } }), {
        code: status.INVALID_ARGUMENT,
        details: /config\.linux\.cgroup_parent: ".+" is not the name of a slice/,
      });
  });

  /** The slice of a pod, three levels deep, as kubelet's are. */
  function sliceOf(name: string): string {
    return `${top}-burstable-pod${name}.slice`;
  }

  function directoryOfSlice(name: string): string {
    return `${top}.slice/${top}-burstable.slice/${sliceOf(name)}`;
  }

  function cgroupOfScope(name: string, id: string): string {
    return `/${directoryOfSlice(name)}/berth-${id}.scope`;
  }

  function directoryOfScope(name: string, id: string): string {
    return join('/sys/fs/cgroup', cgroupOfScope(name, id));
  }

  function limits(name: string, id: string): Record<string, string> {
    const files = ['memory.max', 'memory.swap.max', 'memory.low', 'cpu.max', 'cpu.weight', 'pids.max'];
    const read = (file: string): string => readFileSync(join(directoryOfScope(name, id), file), 'utf8');
    return Object.fromEntries(files.map((file) => [file, read(file).trim()]));
  }

  function runPod(name: string, cgroupParent = sliceOf(name)): Promise<Pod> {
    return rig.runPod(name, { linux: { cgroupParent } });
  }

  async function pidOf(id: string): Promise<number> {
    const { info } = await rig.statusResponse(id, true);
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  }
});

async function show(unit: string, ...properties: string[]): Promise<Record<string, string>> {
  const { stdout } = await execa('systemctl', ['show', unit, `--property=${properties.join()}`]);
  return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2) as [string, string]));
}

/** Those that systemd knows. */
async function units(pattern: string): Promise<string[]> {
  const { stdout } = await execa('systemctl', ['list-units', '--all', '--plain', '--no-legend', pattern]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' ')[0] ?? '');
}
