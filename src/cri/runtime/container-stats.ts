import type { ContainerStats } from '../../gen/runtime/v1/ContainerStats.ts';
import type { ContainerStatsRequest__Output } from '../../gen/runtime/v1/ContainerStatsRequest.ts';
import type { ContainerStatsResponse } from '../../gen/runtime/v1/ContainerStatsResponse.ts';
import type { FilesystemUsage } from '../../gen/runtime/v1/FilesystemUsage.ts';
import type { ContainerUsage } from '../../pod/stats/usage.ts';
import { requireId } from './require-id.ts';
import type { StatsUnary } from './stats-call.ts';
import { cpuMessage, ioMessage, memoryMessage, swapMessage, uint64 } from './usage-messages.ts';

/** CRI ContainerStats: a container that does not run has only a writable layer. */
export const containerStats: StatsUnary<ContainerStatsRequest__Output, ContainerStatsResponse> = async (
  { stats },
  request,
  { signal },
) => {
  const usage = await stats.container(requireId('container_id', request.containerId), { signal });
  return { stats: containerStatsMessage(usage) };
};

/** What a container uses, as the CRI has it; what is not known is null. */
export function containerStatsMessage(usage: ContainerUsage): ContainerStats {
  const { container, reading, nanoCores } = usage;
  const { id, metadata, labels, annotations } = container;
  return {
    attributes: { id, metadata, labels: { ...labels }, annotations: { ...annotations } },
    cpu: cpuMessage(reading, nanoCores),
    memory: memoryMessage(reading),
    writableLayer: layerMessage(usage),
    swap: swapMessage(reading),
    io: ioMessage(reading),
  };
}

function layerMessage({ layer, container }: ContainerUsage): FilesystemUsage | null {
  const { snapshotDirectory: mountpoint } = container;
  if (layer === undefined) return null;
  return {
    timestamp: layer.at.toString(),
    fsId: mountpoint === '' ? null : { mountpoint },
    usedBytes: uint64(BigInt(layer.bytes)),
    inodesUsed: uint64(BigInt(layer.inodes)),
  };
}
