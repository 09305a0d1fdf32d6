import assert from 'node:assert/strict';
import { containerOf, criId, IDLE, type Pod, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';
import { traces } from './traces.ts';

/** kubelet removes sandboxes of pods that are gone once in a minute. */
const GONE_MS = 120_000;

const MODES: readonly { readonly name: string; readonly featureGates: Readonly<Record<string, boolean>> }[] =
  [
    { name: 'that lists pods and containers', featureGates: {} },
    {
      name: 'that is told of events, lists by streams, and has statistics from the CRI',
      featureGates: { EventedPLEG: true, CRIListStreaming: true, PodAndContainerStatsFromCRI: true },
    },
  ];

/** The parts of kubelet's summary (/stats/summary) that are looked at. */
interface PodStats {
  readonly podRef: { readonly name: string };
  readonly network?: { readonly name: string; readonly rxBytes?: number };
  readonly containers?: readonly ContainerStats[];
}

interface ContainerStats {
  readonly name: string;
  readonly cpu?: { readonly usageCoreNanoSeconds?: number };
  readonly memory?: { readonly workingSetBytes?: number };
  readonly rootfs?: { readonly usedBytes?: number };
}

for (const { name, featureGates } of MODES) {
  describe(`a kubelet ${name}`, function () {
    this.timeout(2 * SPEC_MS);
    let rig: KubeletRig;
    let initial: string[];

    before(async () => {
      rig = await KubeletRig.start(featureGates);
      initial = await traces(rig);
    });

    after(async () => {
      await rig[Symbol.asyncDispose]();
    });

    /** What has to be the same after a restart of anything: sandboxes, addresses, and containers but those of `mortal`. */
    async function identities(): Promise<string[]> {
      const { client } = rig.daemon;
      const sandboxes = (await client.list()).map(async ({ id, state, metadata }) => {
        const { status } = await client.podStatus(id);
        return `${metadata?.name ?? ''} ${id} ${state} ${status?.network?.ip ?? ''}`;
      });
      const containers = (await client.containers())
        .filter(({ labels }) => labels['io.kubernetes.pod.name'] !== 'mortal-berth-node')
        .map(async ({ id, state }) => `${id} ${state} ${await rig.pid(id)}`);
      return (await Promise.all([...sandboxes, ...containers])).sort();
    }

    /** Ends the container of `mortal`, as if it had crashed. */
    async function strike(pod: Pod): Promise<void> {
      process.kill(await rig.pid(criId(containerOf(pod, 'one'))), 'SIGKILL');
    }

    /** Of the container `one` of `steady`, and of that pod. */
    async function statistics(): Promise<{ pod: PodStats; container: ContainerStats } | undefined> {
      const { pods = [] } = JSON.parse(await rig.kubelet.get('/stats/summary')) as { pods?: PodStats[] };
      const pod = pods.find(({ podRef }) => podRef.name === 'steady-berth-node');
      const container = pod?.containers?.find((it) => it.name === 'one');
      return pod === undefined || container === undefined ? undefined : { pod, container };
    }

    function revived(restarts: number): Promise<Pod> {
      return rig.until(`it runs after restart ${restarts}`, 'mortal', (pod) => {
        const container = containerOf(pod, 'one');
        return container?.restartCount === restarts && container.state.running !== undefined;
      });
    }

    /** Whether it gets events, by its own word. */
    async function checkMode(): Promise<void> {
      await rig.eventually('kubelet gets its news as it was told to', async () => {
        const [, connected = '0'] =
          /^kubelet_evented_pleg_connection_success_count (\d+)/m.exec(await rig.kubelet.get('/metrics')) ??
          [];
        return Number(connected) > 0 === 'EventedPLEG' in featureGates ? true : undefined;
      });
    }

    it('starts pods, and what ends in them again', async () => {
      await checkMode();
      const containers = [shell('one', IDLE), shell('two', IDLE)];
      await rig.run({ name: 'steady', spec: { containers } });
      await rig.run({ name: 'processes', spec: { shareProcessNamespace: true, containers } });
      await rig.run({ name: 'host', spec: { hostNetwork: true, containers: [shell('one', IDLE)] } });
      const ports = [{ containerPort: 80, hostPort: 18080 }];
      const volumes = [{ name: 'memory', emptyDir: { medium: 'Memory' } }];
      const volumeMounts = [{ name: 'memory', mountPath: '/memory' }];
      const pod = await rig.run({
        name: 'mortal',
        spec: { volumes, containers: [shell('one', IDLE, { ports, volumeMounts })] },
      });
      await strike(pod);
      await revived(1);
    });

    it('knows what pods use', async () => {
      const { pod, container } = await rig.eventually('the statistics are whole', async () => {
        const found = await statistics();
        return found?.container.rootfs?.usedBytes === undefined ? undefined : found;
      });
      assert.ok((container.memory?.workingSetBytes ?? 0) > 0);
      assert.ok((container.cpu?.usageCoreNanoSeconds ?? 0) > 0);
      if (!('PodAndContainerStatsFromCRI' in featureGates)) return;
      // cAdvisor knows a pod's network by a container for the sandbox, and there is none.
      assert.equal(pod.network?.name, 'eth0');
      assert.ok((pod.network.rxBytes ?? 0) > 0);
      const labels =
        'container="one",id="[0-9a-f]+",image="[^"]+",namespace="default",pod="steady-berth-node"';
      assert.match(
        await rig.kubelet.get('/metrics/cadvisor'),
        new RegExp(`^container_memory_working_set_bytes{${labels}} [1-9]`, 'm'),
      );
    });

    for (const [restarts, verb] of [[2, 'stop'] as const, [3, 'kill'] as const]) {
      it(`goes on after Berth's ${verb} and start, which change nothing, and sees what has ended meanwhile`, async () => {
        const before = await identities();
        const mortal = await rig.present('mortal');
        const pid = await rig.pid(criId(containerOf(mortal, 'one')));
        await rig.daemon[verb]();
        process.kill(pid, 'SIGKILL');
        await rig.daemon.start();
        await revived(restarts);
        assert.deepEqual(await identities(), before);
        for (const name of ['steady', 'processes', 'host']) {
          const { status } = await rig.present(name);
          for (const container of status.containerStatuses ?? []) assert.equal(container.restartCount, 0);
        }
      });
    }

    // The last restart, for kubelet asks for events no more once its runtime was away.
    it('restarts, finds all as it was, and sees what has ended meanwhile', async () => {
      const before = await identities();
      const mortal = await rig.present('mortal');
      await rig.kubelet.stop();
      await strike(mortal);
      await rig.kubelet.start();
      await revived(4);
      assert.deepEqual(await identities(), before);
    });

    it('still starts pods after that', async () => {
      await checkMode();
      await rig.run({ name: 'late', spec: { containers: [shell('one', IDLE)] } });
    });

    it('ends pods whose manifests are taken away, and nothing of them is left', async () => {
      const names = ['steady', 'processes', 'host', 'mortal', 'late'];
      for (const pod of names) await rig.remove(pod);
      for (const pod of names) await rig.ended(pod);
      let left: string[] = [];
      const gone = rig.eventually(
        'nothing is left',
        async () => {
          left = (await traces(rig)).filter((line) => !initial.includes(line));
          return left.length === 0 ? true : undefined;
        },
        GONE_MS,
      );
      await gone.catch((error: unknown) => {
        throw new Error(`left: ${left.join('\n')}`, { cause: error });
      });
    });

    it('called nothing of our making an error', () => {
      assert.deepEqual(rig.errors({ restarted: true }), []);
    });
  });
}
