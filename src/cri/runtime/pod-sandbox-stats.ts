import type { NetworkInterfaceUsage } from '../../gen/runtime/v1/NetworkInterfaceUsage.ts';
import type { NetworkUsage } from '../../gen/runtime/v1/NetworkUsage.ts';
import type { PodSandboxStats } from '../../gen/runtime/v1/PodSandboxStats.ts';
import type { PodSandboxStatsRequest__Output } from '../../gen/runtime/v1/PodSandboxStatsRequest.ts';
import type { PodSandboxStatsResponse } from '../../gen/runtime/v1/PodSandboxStatsResponse.ts';
import type { ProcessUsage } from '../../gen/runtime/v1/ProcessUsage.ts';
import type { InterfaceReading } from '../../pod/stats/interfaces.ts';
import type { PodUsage } from '../../pod/stats/usage.ts';
import { containerStatsMessage } from './container-stats.ts';
import { requireId } from './require-id.ts';
import type { StatsUnary } from './stats-call.ts';
import { cpuMessage, ioMessage, memoryMessage, uint64 } from './usage-messages.ts';

/** The interface by which the pod is reached: the CNI_IFNAME of its first attachment. */
const DEFAULT_INTERFACE = 'eth0';

/** CRI PodSandboxStats. */
export const podSandboxStats: StatsUnary<PodSandboxStatsRequest__Output, PodSandboxStatsResponse> = async (
  { stats },
  request,
  { signal },
) => {
  const usage = await stats.sandbox(requireId('pod_sandbox_id', request.podSandboxId), { signal });
  return { stats: podStatsMessage(usage) };
};

/** What a pod uses, as the CRI has it; what is not known is null. */
export function podStatsMessage(usage: PodUsage): PodSandboxStats {
  const { sandbox, reading, nanoCores, containers } = usage;
  const { id, metadata, labels, annotations } = sandbox;
  return {
    attributes: { id, metadata, labels: { ...labels }, annotations: { ...annotations } },
    linux: {
      cpu: cpuMessage(reading, nanoCores),
      memory: memoryMessage(reading),
      network: networkMessage(usage),
      process: processMessage(reading),
      containers: containers.map(containerStatsMessage),
      io: ioMessage(reading),
    },
  };
}

function networkMessage({ reading, interfaces }: PodUsage): NetworkUsage | null {
  // kubelet takes for granted that a network has its default interface.
  const first = interfaces?.find(({ name }) => name === DEFAULT_INTERFACE) ?? interfaces?.[0];
  if (interfaces === undefined || first === undefined) return null;
  return {
    timestamp: reading.at.toString(),
    defaultInterface: interfaceMessage(first),
    interfaces: interfaces.filter((each) => each !== first).map(interfaceMessage),
  };
}

function interfaceMessage({ name, ...counters }: InterfaceReading): NetworkInterfaceUsage {
  return {
    name,
    rxBytes: uint64(counters.rxBytes),
    rxErrors: uint64(counters.rxErrors),
    txBytes: uint64(counters.txBytes),
    txErrors: uint64(counters.txErrors),
  };
}

function processMessage({ at, processes }: PodUsage['reading']): ProcessUsage | null {
  if (processes === undefined) return null;
  return { timestamp: at.toString(), processCount: uint64(processes.processes) };
}
