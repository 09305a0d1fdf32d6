import type { FilesystemReading } from '../filesystem.ts';
import type { InterfaceReading } from '../interfaces.ts';
import type { Reading } from '../reading.ts';
import type { MeasuredContainer, MeasuredSandbox } from '../source.ts';
import type { MeasuredLayer } from '../written-layers.ts';
import { descriptors, type MetricKind, type MetricName } from './descriptors.ts';
import { containerValues, interfaceValues, type Values } from './values.ts';

/** One value of a metric. */
export interface Metric {
  readonly name: MetricName;
  readonly kind: MetricKind;
  /** In the order of the descriptor's labels. */
  readonly labelValues: readonly string[];
  readonly value: bigint;
}

/** All metrics of a pod: its network's, and those of each running container. */
export interface PodMetrics {
  readonly sandboxId: string;
  readonly metrics: readonly Metric[];
  readonly containers: readonly { readonly containerId: string; readonly metrics: readonly Metric[] }[];
}

/** What the metrics of a container are made of. */
export interface MeasuredForMetrics {
  readonly container: MeasuredContainer;
  readonly sandbox: MeasuredSandbox;
  readonly reading: Reading;
  readonly layer: MeasuredLayer | undefined;
  readonly filesystem: FilesystemReading | undefined;
}

/** The name that dashboards expect for what belongs to the pod and to none of its containers. */
const POD = 'POD';

/** The metrics of a container; what the kernel does not tell has none. */
export function containerMetrics(measured: MeasuredForMetrics): Metric[] {
  const { container, sandbox } = measured;
  const labels = [container.id, container.image, ...podLabels(sandbox), container.metadata?.name ?? ''];
  return toMetrics(labels, containerValues(measured));
}

/** The metrics of a pod's network. */
export function podMetrics(sandbox: MeasuredSandbox, interfaces: readonly InterfaceReading[]): Metric[] {
  return toMetrics([sandbox.id, '', ...podLabels(sandbox), POD], interfaceValues(interfaces));
}

function podLabels({ metadata }: MeasuredSandbox): [namespace: string, pod: string] {
  return [metadata?.namespace ?? '', metadata?.name ?? ''];
}

function toMetrics(labels: readonly string[], values: Values): Metric[] {
  return Object.entries(values).flatMap(([key, given]) => {
    const name = key as MetricName;
    const { kind } = descriptors[name];
    const all = typeof given === 'bigint' ? [{ labels: [], value: given }] : given;
    return all.flatMap((each) =>
      each.value === undefined
        ? []
        : [{ name, kind, labelValues: [...labels, ...each.labels], value: each.value }],
    );
  });
}
