import assert from 'node:assert/strict';
import { createLogger } from '../../../../src/lib/log.ts';
import { baseLabels, descriptors } from '../../../../src/pod/stats/metrics/descriptors.ts';
import { type Metric, type PodMetrics, podMetrics } from '../../../../src/pod/stats/metrics/metrics.ts';
import { Stats } from '../../../../src/pod/stats/stats.ts';
import { CgroupFixture, container, directReader, FakeSource, sandbox } from './fixtures.ts';

const log = createLogger({ level: 'fatal', format: 'json' });

/** A v2 cgroup that has a value for every metric that v2 can have. */
const v2Files = {
  'cpu.stat':
    'usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 5\nnr_throttled 4\nthrottled_usec 7000000\n',
  'cpu.max': '50000 100000\n',
  'cpu.weight': 100,
  'memory.current': 1000,
  'memory.max': 5000,
  'memory.peak': 2000,
  'memory.low': 10,
  'memory.swap.current': 20,
  'memory.swap.max': 'max\n',
  'memory.events': 'max 6\noom_kill 2\n',
  'memory.stat':
    'anon 300\nfile 400\nkernel 30\nfile_mapped 40\ninactive_file 250\nactive_file 150\npgfault 50\npgmajfault 10\n',
  'io.stat':
    '999:9 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=1\n999:10 rbytes=1 wbytes=1 rios=1 wios=1\n',
  'cpu.pressure':
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=17000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n',
  'memory.pressure':
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  'io.pressure':
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  'hugetlb.2MB.current': 2_097_152,
  'cgroup.procs': `${process.pid}\n`,
  'pids.current': 9,
  'pids.max': 100,
};

const noTraffic = {
  rxBytes: 1n,
  rxPackets: 2n,
  rxErrors: 3n,
  rxDropped: 4n,
  txBytes: 5n,
  txPackets: 6n,
  txErrors: 7n,
  txDropped: 8n,
};

describe('CRI metrics', () => {
  it('have the 58 descriptors of containerd and CRI-O together', () => {
    const names = Object.keys(descriptors);
    assert.equal(names.length, 58);
    for (const [name, { help, labels, kind }] of Object.entries(descriptors)) {
      assert.match(name, /^container_[a-z_]+$/);
      assert.ok(help.endsWith('.'), name);
      assert.equal(new Set([...baseLabels, ...labels]).size, baseLabels.length + labels.length, name);
      if (name.endsWith('_total') && !name.startsWith('container_fs_inodes'))
        assert.equal(kind, 'COUNTER', name);
    }
  });

  it('have a value each, with as many labels as their descriptors', async () => {
    using fixture = new CgroupFixture(2);
    fixture.write(
      Object.fromEntries(Object.entries(v2Files).map(([name, text]) => [`pod1/c1/${name}`, text])),
    );
    const source = new FakeSource();
    source.pods = [sandbox('pod1'), sandbox('pod2', { ready: false })];
    source.list = [container('c1'), container('gone'), container('done', { running: false })];
    source.layers.set('c1', { bytes: 77, inodes: 3 });
    const stats = new Stats({ source, reader: directReader(fixture.trees), log });
    await stats.metrics().next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const pods: PodMetrics[] = [];
    for await (const batch of stats.metrics()) pods.push(...batch);
    stats.stop();
    assert.deepEqual(
      pods.map(({ sandboxId }) => sandboxId),
      ['pod1'],
    );
    const containers = pods[0]?.containers ?? [];
    assert.deepEqual(
      containers.map(({ containerId }) => containerId),
      ['c1'],
    );
    const network = podMetrics(sandbox('pod1'), [{ name: 'eth0', ...noTraffic }]);
    const metrics = [...(containers[0]?.metrics ?? []), ...network];
    for (const metric of metrics) {
      assert.equal(
        metric.labelValues.length,
        baseLabels.length + descriptors[metric.name].labels.length,
        metric.name,
      );
      assert.equal(metric.kind, descriptors[metric.name].kind);
    }
    // Prometheus refuses twins.
    const series = metrics.map(({ name, labelValues }) => [name, ...labelValues].join(' '));
    assert.equal(new Set(series).size, series.length);
    const missing = Object.keys(descriptors).filter(
      (name) => !metrics.some((metric) => metric.name === name),
    );
    // v2 has no peak of huge pages. Which sizes there are depends on the machine.
    assert.deepEqual(missing, ['container_hugetlb_max_usage_bytes']);

    const value = (name: string, ...labels: string[]): bigint | undefined =>
      metrics.find(
        (metric: Metric) =>
          metric.name === name &&
          labels.every((label, i) => metric.labelValues[baseLabels.length + i] === label),
      )?.value;
    assert.equal(value('container_cpu_usage_seconds_total', 'total'), 5n);
    assert.equal(value('container_cpu_cfs_throttled_seconds_total'), 7n);
    assert.equal(value('container_memory_working_set_bytes'), 750n);
    assert.equal(value('container_memory_failures_total', 'pgmajfault', 'hierarchy'), 10n);
    assert.equal(value('container_spec_memory_swap_limit_bytes'), 0n);
    assert.equal(value('container_blkio_device_usage_total', '', '999', '9', 'Write'), 8192n);
    assert.equal(value('container_fs_usage_bytes'), 77n);
    assert.equal(value('container_pressure_cpu_waiting_seconds_total'), 17n);
    assert.equal(value('container_start_time_seconds'), 1_700_000_000n);
    assert.equal(value('container_network_transmit_packets_dropped_total', 'eth0'), 8n);
    const [first] = metrics;
    assert.deepEqual(first?.labelValues.slice(0, 5), ['c1', 'registry/image:1', 'shop', 'web', 'name-of-c1']);
    assert.deepEqual(network[0]?.labelValues, ['pod1', '', 'shop', 'web', 'POD', 'eth0']);
  });
});
