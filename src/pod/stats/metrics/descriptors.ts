/**
 * The metrics of ListPodSandboxMetrics: all that containerd and all that CRI-O describe, 58 in all. Where the two disagree on
 * labels ours has those of both: `device` on metrics of file systems (containerd), `cpu` on the CPU usage (CRI-O). The labels that
 * all have come in CRI-O's order; containerd has the same ones as pod, namespace, container, id, image.
 */

export type MetricKind = 'COUNTER' | 'GAUGE';

export interface Descriptor {
  readonly kind: MetricKind;
  readonly help: string;
  /** Labels after those that every metric has. */
  readonly labels: readonly string[];
}

/** The labels that every metric begins with. */
export const baseLabels = ['id', 'image', 'namespace', 'pod', 'container'] as const;

function counter(help: string, ...labels: string[]): Descriptor {
  return { kind: 'COUNTER', help, labels };
}

function gauge(help: string, ...labels: string[]): Descriptor {
  return { kind: 'GAUGE', help, labels };
}

export const descriptors = {
  container_cpu_user_seconds_total: counter('CPU time spent in user mode, in seconds.'),
  container_cpu_system_seconds_total: counter('CPU time spent in the kernel, in seconds.'),
  container_cpu_usage_seconds_total: counter('CPU time, in seconds.', 'cpu'),
  container_cpu_cfs_periods_total: counter('Periods of CPU bandwidth enforcement that have passed.'),
  container_cpu_cfs_throttled_periods_total: counter('Periods in which the container was throttled.'),
  container_cpu_cfs_throttled_seconds_total: counter(
    'Time for which the container was throttled, in seconds.',
  ),

  container_memory_cache: gauge('Page cache, in bytes.'),
  container_memory_rss: gauge('Anonymous memory, in bytes.'),
  container_memory_kernel_usage: gauge('Memory of the kernel, in bytes.'),
  container_memory_mapped_file: gauge('Files mapped into memory, in bytes.'),
  container_memory_swap: gauge('Swap in use, in bytes.'),
  container_memory_failcnt: counter('How often memory usage hit the limit.'),
  container_memory_usage_bytes: gauge('Memory in use, page cache included, in bytes.'),
  container_memory_max_usage_bytes: gauge('The most memory that was ever in use, in bytes.'),
  container_memory_working_set_bytes: gauge('Memory in use less inactive page cache, in bytes.'),
  container_memory_total_active_file_bytes: gauge('Active page cache, in bytes.'),
  container_memory_total_inactive_file_bytes: gauge('Inactive page cache, in bytes.'),
  container_memory_failures_total: counter('Page faults.', 'failure_type', 'scope'),
  container_oom_events_total: counter('Processes that were killed because memory ran out.'),

  container_network_receive_bytes_total: counter('Bytes received.', 'interface'),
  container_network_receive_packets_total: counter('Packets received.', 'interface'),
  container_network_receive_packets_dropped_total: counter('Packets dropped while receiving.', 'interface'),
  container_network_receive_errors_total: counter('Errors while receiving.', 'interface'),
  container_network_transmit_bytes_total: counter('Bytes sent.', 'interface'),
  container_network_transmit_packets_total: counter('Packets sent.', 'interface'),
  container_network_transmit_packets_dropped_total: counter('Packets dropped while sending.', 'interface'),
  container_network_transmit_errors_total: counter('Errors while sending.', 'interface'),

  container_fs_inodes_free: gauge('Inodes that are free on the file system of the writable layer.', 'device'),
  container_fs_inodes_total: gauge('Inodes of the file system of the writable layer.', 'device'),
  container_fs_limit_bytes: gauge('Size of the file system of the writable layer, in bytes.', 'device'),
  container_fs_usage_bytes: gauge('What the writable layer takes, in bytes.', 'device'),

  container_fs_reads_bytes_total: counter('Bytes read.', 'device'),
  container_fs_reads_total: counter('Reads done.', 'device'),
  container_fs_writes_bytes_total: counter('Bytes written.', 'device'),
  container_fs_writes_total: counter('Writes done.', 'device'),
  container_blkio_device_usage_total: counter(
    'Bytes read from, written to and discarded on a block device.',
    'device',
    'major',
    'minor',
    'operation',
  ),

  container_processes: gauge('Processes.'),
  container_file_descriptors: gauge('Open file descriptors.'),
  container_sockets: gauge('Open sockets.'),
  container_threads_max: gauge('How many threads are allowed; 0 for no limit.'),
  container_threads: gauge('Threads.'),
  container_ulimits_soft: gauge(
    'Soft limits of the first process; one that is unlimited is absent.',
    'ulimit',
  ),

  container_last_seen: gauge('When these metrics were taken, in seconds since the epoch.'),
  container_start_time_seconds: gauge('When the container started, in seconds since the epoch.'),

  container_spec_cpu_period: gauge('Period of CPU bandwidth enforcement, in microseconds.'),
  container_spec_cpu_quota: gauge('CPU time per period, in microseconds; absent without a limit.'),
  container_spec_cpu_shares: gauge('Share of the CPU time, relative to others.'),
  container_spec_memory_limit_bytes: gauge('Memory limit, in bytes; 0 without a limit.'),
  container_spec_memory_reservation_limit_bytes: gauge('Memory kept for the container, in bytes.'),
  container_spec_memory_swap_limit_bytes: gauge('Swap limit, in bytes; 0 without a limit.'),

  container_hugetlb_usage_bytes: gauge('Huge pages in use, in bytes.', 'pagesize'),
  container_hugetlb_max_usage_bytes: gauge('The most huge pages ever in use, in bytes.', 'pagesize'),

  container_pressure_cpu_stalled_seconds_total: counter(
    'Time in which all tasks waited for a CPU, in seconds.',
  ),
  container_pressure_cpu_waiting_seconds_total: counter('Time in which a task waited for a CPU, in seconds.'),
  container_pressure_memory_stalled_seconds_total: counter(
    'Time in which all tasks waited for memory, in seconds.',
  ),
  container_pressure_memory_waiting_seconds_total: counter(
    'Time in which a task waited for memory, in seconds.',
  ),
  container_pressure_io_stalled_seconds_total: counter('Time in which all tasks waited for I/O, in seconds.'),
  container_pressure_io_waiting_seconds_total: counter('Time in which a task waited for I/O, in seconds.'),
} satisfies Record<string, Descriptor>;

export type MetricName = keyof typeof descriptors;
