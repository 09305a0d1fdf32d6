import type { InterfaceReading } from '../interfaces.ts';
import type { DeviceReading } from '../cgroup/io.ts';
import type { Pressure } from '../cgroup/pressure.ts';
import type { MetricName } from './descriptors.ts';
import type { MeasuredForMetrics } from './metrics.ts';

/** Values of a metric that has labels of its own, in the descriptor's order. */
type Labelled = readonly { readonly labels: readonly string[]; readonly value: bigint | undefined }[];

/** Metrics by name; what is not known is absent. */
export type Values = Readonly<Partial<Record<MetricName, bigint | Labelled>>>;

type Known = Partial<Record<MetricName, bigint | Labelled | undefined>>;

/** Every metric of a container, save those of its pod's network. */
export function containerValues(measured: MeasuredForMetrics): Values {
  return known({
    ...cpuValues(measured),
    ...memoryValues(measured),
    ...filesystemValues(measured),
    ...deviceValues(measured),
    ...processValues(measured),
    ...hugepageValues(measured),
    ...pressureValues(measured),
    container_last_seen: seconds(measured.reading.at),
    container_start_time_seconds: seconds(measured.container.startedAt),
  });
}

/** The metrics of a pod's network. */
export function interfaceValues(interfaces: readonly InterfaceReading[]): Values {
  const each = (of: (reading: InterfaceReading) => bigint): Labelled =>
    interfaces.map((reading) => ({ labels: [reading.name], value: of(reading) }));
  return {
    container_network_receive_bytes_total: each(({ rxBytes }) => rxBytes),
    container_network_receive_packets_total: each(({ rxPackets }) => rxPackets),
    container_network_receive_packets_dropped_total: each(({ rxDropped }) => rxDropped),
    container_network_receive_errors_total: each(({ rxErrors }) => rxErrors),
    container_network_transmit_bytes_total: each(({ txBytes }) => txBytes),
    container_network_transmit_packets_total: each(({ txPackets }) => txPackets),
    container_network_transmit_packets_dropped_total: each(({ txDropped }) => txDropped),
    container_network_transmit_errors_total: each(({ txErrors }) => txErrors),
  };
}

function cpuValues({ reading: { cpu, cpuDetails } }: MeasuredForMetrics): Known {
  return {
    container_cpu_user_seconds_total: seconds(cpuDetails?.userNanos),
    container_cpu_system_seconds_total: seconds(cpuDetails?.systemNanos),
    container_cpu_usage_seconds_total: [{ labels: ['total'], value: seconds(cpu?.usageNanos) }],
    container_cpu_cfs_periods_total: cpuDetails?.periods,
    container_cpu_cfs_throttled_periods_total: cpuDetails?.throttledPeriods,
    container_cpu_cfs_throttled_seconds_total: seconds(cpuDetails?.throttledNanos),
    container_spec_cpu_period: cpuDetails?.periodMicros,
    container_spec_cpu_quota: cpuDetails?.quotaMicros,
    container_spec_cpu_shares: cpuDetails?.shares,
  };
}

function memoryValues({ reading: { memory, memoryDetails } }: MeasuredForMetrics): Known {
  if (memory === undefined) return {};
  return {
    container_memory_cache: memory.cache,
    container_memory_rss: memory.rss,
    container_memory_kernel_usage: memoryDetails?.kernel,
    container_memory_mapped_file: memory.mappedFile,
    container_memory_swap: memory.swap?.usage,
    container_memory_failcnt: memoryDetails?.failures,
    container_memory_usage_bytes: memory.usage,
    container_memory_max_usage_bytes: memoryDetails?.peak,
    container_memory_working_set_bytes: memory.workingSet,
    container_memory_total_active_file_bytes: memory.activeFile,
    container_memory_total_inactive_file_bytes: memory.inactiveFile,
    container_memory_failures_total: [
      { labels: ['pgfault', 'container'], value: memory.ownPageFaults },
      { labels: ['pgfault', 'hierarchy'], value: memory.pageFaults },
      { labels: ['pgmajfault', 'container'], value: memory.ownMajorPageFaults },
      { labels: ['pgmajfault', 'hierarchy'], value: memory.majorPageFaults },
    ],
    container_oom_events_total: memoryDetails?.oomKills,
    container_spec_memory_limit_bytes: memory.limit ?? 0n,
    container_spec_memory_reservation_limit_bytes: memoryDetails?.reservation ?? 0n,
    container_spec_memory_swap_limit_bytes: memoryDetails?.swapLimit ?? 0n,
  };
}

function filesystemValues({ filesystem, layer }: MeasuredForMetrics): Known {
  const on = (value: bigint | undefined): Labelled => [{ labels: [filesystem?.device ?? ''], value }];
  return {
    container_fs_inodes_free: on(filesystem?.inodesFree),
    container_fs_inodes_total: on(filesystem?.inodes),
    container_fs_limit_bytes: on(filesystem?.bytes),
    container_fs_usage_bytes: on(layer === undefined ? undefined : BigInt(layer.bytes)),
  };
}

function deviceValues({ reading: { devices = [] } }: MeasuredForMetrics): Known {
  const each = (of: (reading: DeviceReading) => bigint): Labelled =>
    devices.map((reading) => ({ labels: [nameOf(reading)], value: of(reading) }));
  return {
    container_fs_reads_bytes_total: each(({ readBytes }) => readBytes),
    container_fs_reads_total: each(({ reads }) => reads),
    container_fs_writes_bytes_total: each(({ writeBytes }) => writeBytes),
    container_fs_writes_total: each(({ writes }) => writes),
    container_blkio_device_usage_total: devices.flatMap(({ device, major, minor, ...counts }) => [
      { labels: [device, major, minor, 'Read'], value: counts.readBytes },
      { labels: [device, major, minor, 'Write'], value: counts.writeBytes },
      { labels: [device, major, minor, 'Discard'], value: counts.discardBytes },
    ]),
  };
}

/** By its number without a name, as hidden paths of a disk are: kubelet shows no metric of which two have the same labels. */
function nameOf({ device, major, minor }: DeviceReading): string {
  return device === '' ? `${major}:${minor}` : device;
}

function processValues({ reading: { processes, processDetails } }: MeasuredForMetrics): Known {
  return {
    container_processes: processes?.processes,
    container_file_descriptors: processDetails?.fileDescriptors,
    container_sockets: processDetails?.sockets,
    container_threads_max: processDetails?.threadsMax,
    container_threads: processDetails?.threads,
    container_ulimits_soft: processDetails?.softLimits.map(({ name, value }) => ({ labels: [name], value })),
  };
}

function hugepageValues({ reading: { hugepages = [] } }: MeasuredForMetrics): Known {
  return {
    container_hugetlb_usage_bytes: hugepages.map(({ pageSize, usage }) => ({
      labels: [pageSize],
      value: usage,
    })),
    container_hugetlb_max_usage_bytes: hugepages.map(({ pageSize, peak }) => ({
      labels: [pageSize],
      value: peak,
    })),
  };
}

function pressureValues({ reading: { pressure } }: MeasuredForMetrics): Known {
  const stalled = (of: Pressure | undefined): bigint | undefined => seconds(of?.full?.totalNanos);
  const waiting = (of: Pressure | undefined): bigint | undefined => seconds(of?.some?.totalNanos);
  return {
    container_pressure_cpu_stalled_seconds_total: stalled(pressure?.cpu),
    container_pressure_cpu_waiting_seconds_total: waiting(pressure?.cpu),
    container_pressure_memory_stalled_seconds_total: stalled(pressure?.memory),
    container_pressure_memory_waiting_seconds_total: waiting(pressure?.memory),
    container_pressure_io_stalled_seconds_total: stalled(pressure?.io),
    container_pressure_io_waiting_seconds_total: waiting(pressure?.io),
  };
}

/** Whole seconds: the CRI's values are integers. */
function seconds(nanos: bigint | undefined): bigint | undefined {
  return nanos === undefined ? undefined : nanos / 1_000_000_000n;
}

function known(values: Known): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
