import type { HugepageLimit__Output } from '../gen/runtime/v1/HugepageLimit.ts';
import type { LinuxContainerResources__Output } from '../gen/runtime/v1/LinuxContainerResources.ts';
import { BerthError, invalid } from '../lib/errors.ts';
import { exactInteger, type Integer } from '../lib/exact-json.ts';
import { integer, text } from './fields.ts';
import type { HostFacts } from './host-facts.ts';
import { type SpecInput, withLinuxPart, withProcessPart } from './input.ts';
import type { LinuxResources, RuntimeSpec } from './types.ts';

const FIELD = 'config.linux.resources';

/** The limits of the container's cgroup, and its oom_score_adj. */
export function withResources(spec: RuntimeSpec, { config, host }: SpecInput): RuntimeSpec {
  const asked = config.linux?.resources ?? null;
  if (asked === null) return spec;
  const limited = withLinuxPart(spec, {
    resources: mergeResources(spec.linux.resources, asked, host, FIELD),
  });
  return withProcessPart(limited, { oomScoreAdj: oomScoreAdj(asked, host) });
}

/**
 * The spec of a running container after UpdateContainerResources: what the request leaves 0 or empty stays. Its
 * linux.resources is what the engine's update takes. oom_score_adj belongs to the process and is not changed.
 */
export function updateResources(
  spec: RuntimeSpec,
  asked: LinuxContainerResources__Output,
  host: HostFacts,
): RuntimeSpec {
  return withLinuxPart(spec, { resources: mergeResources(spec.linux.resources, asked, host, 'linux') });
}

/** The limits of a spec as ContainerStatus reports them. */
export function criResources({ linux, process }: RuntimeSpec): LinuxContainerResources__Output {
  const { cpu = {}, memory = {}, hugepageLimits = [], unified = {} } = linux.resources;
  return {
    cpuPeriod: String(cpu.period ?? 0),
    cpuQuota: String(cpu.quota ?? 0),
    cpuShares: String(cpu.shares ?? 0),
    memoryLimitInBytes: String(memory.limit ?? 0),
    oomScoreAdj: String(process.oomScoreAdj ?? 0),
    cpusetCpus: cpu.cpus ?? '',
    cpusetMems: cpu.mems ?? '',
    hugepageLimits: hugepageLimits.map(({ pageSize, limit }) => ({ pageSize, limit: String(limit) })),
    unified: { ...unified },
    memorySwapLimitInBytes: String(memory.swap ?? 0),
  };
}

function mergeResources(
  old: LinuxResources,
  asked: LinuxContainerResources__Output,
  host: HostFacts,
  field: string,
): LinuxResources {
  const cpu = {
    ...old.cpu,
    ...set('period', integer(`${field}.cpu_period`, asked.cpuPeriod, 0)),
    ...set('quota', integer(`${field}.cpu_quota`, asked.cpuQuota, -1)),
    ...set('shares', integer(`${field}.cpu_shares`, asked.cpuShares, 0)),
    ...set('cpus', cpuList(`${field}.cpuset_cpus`, asked.cpusetCpus)),
    ...set('mems', cpuList(`${field}.cpuset_mems`, asked.cpusetMems)),
  };
  return {
    ...old,
    cpu,
    memory: { ...old.memory, ...memoryLimits(asked, host, field) },
    ...set('hugepageLimits', hugepageLimits(old.hugepageLimits ?? [], asked.hugepageLimits, host, field)),
    ...set('unified', unified(old.unified ?? {}, asked.unified, host, field)),
  };
}

/** One key, or none for a value that is not given. */
function set<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

/** A memory limit without one for swap means no swap: memory and swap together may be no more. */
function memoryLimits(
  asked: LinuxContainerResources__Output,
  host: HostFacts,
  field: string,
): { limit?: Integer; swap?: Integer } {
  const limit = integer(`${field}.memory_limit_in_bytes`, asked.memoryLimitInBytes, -1);
  const swap = integer(`${field}.memory_swap_limit_in_bytes`, asked.memorySwapLimitInBytes, -1) ?? limit;
  return { ...set('limit', limit), ...(host.swapLimit ? set('swap', swap) : {}) };
}

/** kubelet gives a limit for every page size of the node; where cgroups cannot limit them they are left out. */
function hugepageLimits(
  old: NonNullable<LinuxResources['hugepageLimits']>,
  asked: readonly HugepageLimit__Output[],
  host: HostFacts,
  field: string,
): LinuxResources['hugepageLimits'] {
  const limits = new Map(old.map((limit) => [limit.pageSize, limit]));
  for (const [i, { pageSize, limit }] of asked.entries()) {
    if (!/^\d+(B|KB|MB|GB)$/.test(pageSize))
      throw invalid(
        `${field}.hugepage_limits[${i}].page_size`,
        `${JSON.stringify(pageSize)} is not a page size`,
      );
    limits.set(pageSize, { pageSize, limit: exactInteger(BigInt(limit)) });
  }
  return host.hugepageLimit && limits.size > 0 ? [...limits.values()] : undefined;
}

function unified(
  old: Readonly<Record<string, string>>,
  asked: Readonly<Record<string, string>>,
  host: HostFacts,
  field: string,
): Record<string, string> | undefined {
  for (const [name, value] of Object.entries(asked)) {
    const at = `${field}.unified[${JSON.stringify(name)}]`;
    if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_-]+)+$/.test(name)) throw invalid(at, 'is not the name of a cgroup file');
    text(at, value);
  }
  const all = { ...old, ...asked };
  if (Object.keys(all).length === 0) return undefined;
  if (host.cgroups !== 'v2') throw new BerthError('FAILED_PRECONDITION', `${field}.unified needs cgroup v2`);
  return all;
}

function cpuList(field: string, value: string): string | undefined {
  if (value === '') return undefined;
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value))
    throw invalid(field, `${JSON.stringify(value)} is not a list such as 0-3,7`);
  return value;
}

/** Never lower than what we may set. */
function oomScoreAdj({ oomScoreAdj: asked }: LinuxContainerResources__Output, host: HostFacts): number {
  const score = Number(asked);
  if (score < -1000 || score > 1000)
    throw invalid(`${FIELD}.oom_score_adj`, `${asked} is not between -1000 and 1000`);
  return Math.max(score, host.leastOomScoreAdj ?? score);
}
