import assert from 'node:assert/strict';
import { listMetricDescriptors } from '../../../../src/cri/runtime/list-metric-descriptors.ts';
import { containerStatsMessage } from '../../../../src/cri/runtime/container-stats.ts';
import { listContainerStats } from '../../../../src/cri/runtime/list-container-stats.ts';
import { listPodSandboxMetrics } from '../../../../src/cri/runtime/list-pod-sandbox-metrics.ts';
import { listPodSandboxStats } from '../../../../src/cri/runtime/list-pod-sandbox-stats.ts';
import { podStatsMessage } from '../../../../src/cri/runtime/pod-sandbox-stats.ts';
import { streamContainerStats } from '../../../../src/cri/runtime/stream-container-stats.ts';
import { streamPodSandboxMetrics } from '../../../../src/cri/runtime/stream-pod-sandbox-metrics.ts';
import { streamPodSandboxStats } from '../../../../src/cri/runtime/stream-pod-sandbox-stats.ts';
import { createLogger } from '../../../../src/lib/log.ts';
import { loadCri } from '../../../../src/lib/proto.ts';
import { Stats } from '../../../../src/pod/stats/stats.ts';
import type { ContainerUsage } from '../../../../src/pod/stats/usage.ts';
import { CgroupFixture, container, directReader, FakeSource, sandbox, v1Cgroup } from './fixtures.ts';

const log = createLogger({ level: 'fatal', format: 'json' });
const call = { method: 'test', signal: new AbortController().signal, remainingMs: Infinity };

/** As a client gets it. */
function overTheWire(method: string, response: object): Record<string, unknown> {
  const service = loadCri().RuntimeService.service as unknown as Record<
    string,
    {
      responseSerialize: (message: object) => Buffer;
      responseDeserialize: (bytes: Buffer) => Record<string, unknown>;
    }
  >;
  const definition = service[method];
  assert.ok(definition !== undefined);
  return definition.responseDeserialize(definition.responseSerialize(response));
}

const memory = {
  usage: 1000n,
  workingSet: 750n,
  limit: 5000n,
  rss: 300n,
  cache: 0n,
  mappedFile: 0n,
  activeFile: 0n,
  inactiveFile: 250n,
  pageFaults: 50n,
  majorPageFaults: 10n,
  ownPageFaults: 50n,
  ownMajorPageFaults: 10n,
  swap: { usage: 20n, limit: 100n },
};
const stall = { totalNanos: 17_000n, avg10: 1.5, avg60: 0.25, avg300: 0 };

const usage: ContainerUsage = {
  container: container('c1', {
    labels: { app: 'a' },
    annotations: { note: 'b' },
    snapshotDirectory: '/snapshots',
  }),
  reading: {
    at: 1_700_000_000_000_000_001n,
    cpu: { usageNanos: 9_007_199_254_740_993n },
    memory,
    pressure: { cpu: { some: stall, full: undefined }, memory: undefined, io: { some: stall, full: stall } },
  },
  nanoCores: 500n,
  layer: { bytes: 4096, inodes: 2, at: 1_700_000_000_000_000_000n },
};

describe('messages of statistics', () => {
  it('carry what a container uses, in full precision', () => {
    const stats = containerStatsMessage(usage);
    const wire = overTheWire('ContainerStats', { stats })['stats'];
    const at = '1700000000000000001';
    const psi = { Total: '17000', Avg10: 1.5, Avg60: 0.25, Avg300: 0 };
    assert.deepEqual(wire, {
      attributes: {
        id: 'c1',
        metadata: { name: 'name-of-c1', attempt: 0 },
        labels: { app: 'a' },
        annotations: { note: 'b' },
      },
      cpu: {
        timestamp: at,
        usageCoreNanoSeconds: { value: '9007199254740993' },
        usageNanoCores: { value: '500' },
        psi: { Full: null, Some: psi },
      },
      memory: {
        timestamp: at,
        workingSetBytes: { value: '750' },
        availableBytes: { value: '4250' },
        usageBytes: { value: '1000' },
        rssBytes: { value: '300' },
        pageFaults: { value: '50' },
        majorPageFaults: { value: '10' },
        psi: null,
      },
      writableLayer: {
        timestamp: '1700000000000000000',
        fsId: { mountpoint: '/snapshots' },
        usedBytes: { value: '4096' },
        inodesUsed: { value: '2' },
      },
      swap: { timestamp: at, swapAvailableBytes: { value: '80' }, swapUsageBytes: { value: '20' } },
      io: { timestamp: at, psi: { Full: psi, Some: psi } },
    });
  });

  it('leave out what is not known', () => {
    const unknown = { ...usage, reading: { at: 1n }, nanoCores: undefined, layer: undefined };
    const { attributes, ...rest } = containerStatsMessage(unknown);
    assert.equal(attributes?.id, 'c1');
    assert.deepEqual(rest, { cpu: null, memory: null, writableLayer: null, swap: null, io: null });
  });

  it('have 0 available bytes when more than the limit is in use, and none without a limit', () => {
    const over = { ...usage, reading: { at: 1n, memory: { ...memory, limit: 10n } } };
    assert.deepEqual(containerStatsMessage(over).memory?.availableBytes, { value: '0' });
    const free = { ...usage, reading: { at: 1n, memory: { ...memory, limit: undefined } } };
    assert.equal(containerStatsMessage(free).memory?.availableBytes, null);
  });

  it('tell a pod its default interface and the others apart', () => {
    const counters = {
      rxBytes: 1n,
      rxPackets: 0n,
      rxErrors: 2n,
      rxDropped: 0n,
      txBytes: 3n,
      txPackets: 0n,
      txErrors: 4n,
      txDropped: 0n,
    };
    const pod = {
      sandbox: sandbox('pod1'),
      reading: { at: 5n, processes: { processes: 3n } },
      nanoCores: undefined,
      interfaces: [
        { name: 'net1', ...counters },
        { name: 'eth0', ...counters },
      ],
      containers: [usage],
    };
    const { linux } = podStatsMessage(pod);
    const message = { rxBytes: '1', rxErrors: '2', txBytes: '3', txErrors: '4' };
    const expected = (name: string): object => ({
      name,
      ...Object.fromEntries(Object.entries(message).map(([key, value]) => [key, { value }])),
    });
    assert.deepEqual(linux?.network, {
      timestamp: '5',
      defaultInterface: expected('eth0'),
      interfaces: [expected('net1')],
    });
    assert.deepEqual(linux.process, { timestamp: '5', processCount: { value: '3' } });
    assert.equal(linux.containers?.[0]?.attributes?.id, 'c1');
    const network = (interfaces: typeof pod.interfaces | undefined) =>
      podStatsMessage({ ...pod, interfaces }).linux?.network;
    // Without one of its default interface's name it is the first: kubelet needs one.
    const others = ['net1', 'net2'].map((name) => ({ name, ...counters }));
    assert.deepEqual(network(others)?.defaultInterface, expected('net1'));
    assert.deepEqual(network(others)?.interfaces, [expected('net2')]);
    for (const none of [[], undefined]) assert.equal(network(none), null);
  });

  it('describe metrics that a client can read', () => {
    const wire = overTheWire('ListMetricDescriptors', listMetricDescriptors());
    const all = wire['descriptors'] as { name: string; labelKeys: string[] }[];
    assert.equal(all.length, 58);
    assert.deepEqual(all.find(({ name }) => name === 'container_cpu_usage_seconds_total')?.labelKeys, [
      'id',
      'image',
      'namespace',
      'pod',
      'container',
      'cpu',
    ]);
  });

  it('are the same in lists and streams', async () => {
    using fixture = new CgroupFixture(1);
    const source = new FakeSource();
    source.pods = [sandbox('pod1')];
    source.list = [container('c1'), container('c2')];
    for (const path of ['/pod1', '/pod1/c1', '/pod1/c2']) fixture.write(v1Cgroup(path, 1_000, 1_000));
    const deps = { stats: new Stats({ source, reader: directReader(fixture.trees), log }) };
    const filter = { id: '', podSandboxId: 'pod1', labelSelector: {} };

    const list = await listContainerStats(deps, { filter }, call);
    const listed = overTheWire('ListContainerStats', list)['stats'] as { attributes: { id: string } }[];
    assert.deepEqual(
      listed.map(({ attributes }) => attributes.id),
      ['c1', 'c2'],
    );
    const streamed: unknown[] = [];
    for await (const message of streamContainerStats(deps, { filter }, call)) {
      streamed.push(...(overTheWire('StreamContainerStats', message)['containerStats'] as unknown[]));
    }
    assert.equal(streamed.length, 2);

    const pods = await listPodSandboxStats(deps, { filter: null }, call);
    assert.equal((overTheWire('ListPodSandboxStats', pods)['stats'] as unknown[]).length, 1);
    for await (const message of streamPodSandboxStats(deps, { filter: null }, call)) {
      assert.equal(message.podSandboxStats?.length, 1);
    }

    const { podMetrics } = await listPodSandboxMetrics(deps, {}, call);
    const [metrics] = overTheWire('ListPodSandboxMetrics', { podMetrics })['podMetrics'] as {
      podSandboxId: string;
      containerMetrics: { metrics: { name: string; timestamp: string; metricType: string }[] }[];
    }[];
    assert.equal(metrics?.podSandboxId, 'pod1');
    const usageMetric = metrics.containerMetrics[0]?.metrics.find(
      ({ name }) => name === 'container_memory_usage_bytes',
    );
    assert.equal(usageMetric?.timestamp, '0');
    assert.equal(usageMetric.metricType, 'GAUGE');
    for await (const message of streamPodSandboxMetrics(deps, {}, call)) {
      assert.equal(message.podSandboxMetrics?.length, 1);
    }
    deps.stats.stop();
  });
});
