import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type CgroupMode, cgroupMode, unifiedLimitsSwap } from '../kernel/cgroups.ts';
import { capabilitiesOf } from './capability-names.ts';
import { type SelinuxPolicy, selinuxPolicy } from './selinux-policy.ts';

/** What the machine and our own process allow; found out once at start, so that specs are made without looking again. */
export interface HostFacts {
  readonly cgroups: CgroupMode | undefined;
  /** Whether a cgroup can limit swap. */
  readonly swapLimit: boolean;
  /** Whether a cgroup can limit huge pages. */
  readonly hugepageLimit: boolean;
  /** Capabilities that we have, and so can give away. */
  readonly capabilities: readonly string[];
  /** Our own oom_score_adj when we may not ask for a lower one; undefined when any can be had. */
  readonly leastOomScoreAdj: number | undefined;
  readonly seccomp: boolean;
  readonly selinux: SelinuxPolicy | undefined;
  readonly apparmor: ApparmorFacts | undefined;
  /** The node's name: asked each time, as it changes when DHCP or cloud-init sets it later. */
  readonly hostname: () => string;
  /** As process.arch: `x64`, `arm64`. */
  readonly architecture: string;
}

/** AppArmor, where the kernel has it. */
export interface ApparmorFacts {
  /** Whether a profile of this name is loaded. */
  readonly isLoaded: (profile: string) => boolean;
  /** The profile of this process, `unconfined` without one. */
  readonly ownProfile: string;
  /** The profile of RuntimeDefault, undefined when none can be loaded. */
  readonly defaultProfile: DefaultApparmorProfile | undefined;
}

export interface DefaultApparmorProfile {
  readonly name: string;
  /** Loads it, in place of an older one of that name. Throws UNAVAILABLE. */
  readonly load: () => Promise<void>;
}

export interface HostFactsOptions {
  /** `[runtime] restrict_oom_score_adj`; `auto`: restricted without CAP_SYS_RESOURCE. */
  readonly restrictOomScoreAdj?: 'auto' | 'always' | 'never';
  /** Where the kernel shows its security modules; /sys/kernel/security when absent. */
  readonly securityfs?: string;
}

/** Looks at /proc and /sys. */
export function detectHostFacts(options: HostFactsOptions = {}): HostFacts {
  const cgroups = cgroupMode();
  const status = readFileSync('/proc/self/status', 'utf8');
  const capabilities = capabilitiesOf(/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
  return {
    cgroups,
    swapLimit:
      cgroups === 'v2'
        ? unifiedLimitsSwap()
        : existsSync('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes'),
    hugepageLimit: cgroups === 'v2' ? unifiedHasHugetlb() : existsSync('/sys/fs/cgroup/hugetlb'),
    capabilities,
    leastOomScoreAdj: isRestricted(options.restrictOomScoreAdj ?? 'auto', capabilities)
      ? ownOomScoreAdj()
      : undefined,
    seccomp: /^Seccomp:/m.test(status),
    selinux: selinuxPolicy(),
    apparmor: apparmorFacts(options.securityfs ?? '/sys/kernel/security'),
    hostname,
    architecture: process.arch,
  };
}

// Lowering oom_score_adj takes CAP_SYS_RESOURCE; see proc_pid_oom_score_adj(5).
function isRestricted(option: 'auto' | 'always' | 'never', capabilities: readonly string[]): boolean {
  return option === 'auto' ? !capabilities.includes('CAP_SYS_RESOURCE') : option === 'always';
}

function ownOomScoreAdj(): number {
  return Number(readFileSync('/proc/self/oom_score_adj', 'utf8').trim());
}

function unifiedHasHugetlb(): boolean {
  return readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim().split(' ').includes('hugetlb');
}

function apparmorFacts(securityfs: string): ApparmorFacts | undefined {
  const profiles = join(securityfs, 'apparmor/profiles');
  if (!existsSync(profiles)) return undefined;
  // Profiles come and go while we run.
  const isLoaded = (profile: string): boolean =>
    readFileSync(profiles, 'utf8').split('\n').map(withoutMode).includes(profile);
  return { isLoaded, ownProfile: ownApparmorProfile(), defaultProfile: undefined };
}

function ownApparmorProfile(): string {
  // The plain `current` may be of another security module, where the kernel has several.
  for (const path of ['/proc/self/attr/apparmor/current', '/proc/self/attr/current'])
    try {
      return withoutMode(readFileSync(path, 'utf8').trim());
    } catch {
      // An older kernel has only the other.
    }
  return 'unconfined';
}

/** The name of a profile, of which the kernel says `name (mode)`. */
function withoutMode(line: string): string {
  return line.replace(/ \([a-z]+\)$/, '');
}
