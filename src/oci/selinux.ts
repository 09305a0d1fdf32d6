import { randomInt } from 'node:crypto';
import type { SELinuxOption__Output } from '../gen/runtime/v1/SELinuxOption.ts';
import { invalid } from '../lib/errors.ts';
import { text } from './fields.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart, withProcessPart } from './input.ts';
import type { RuntimeSpec } from './types.ts';

const FIELD = `${SECURITY}.selinux_options`;

/** The labels of a pod. */
export interface SelinuxLabels {
  /** Of its processes. */
  readonly processLabel: string;
  /** Of the files that it may write. */
  readonly mountLabel: string;
}

/** Sensitivities, and categories as single ones, lists and ranges: `s0:c1.c5,c7`. */
const LEVEL = /^s\d(-s\d)?(:c\d{1,4}(\.c\d{1,4})?(,c\d{1,4}(\.c\d{1,4})?)*)?$/;

/** What container-selinux, the policy of the distributions, has for containers and their files. */
const DEFAULT_LABEL = 'system_u:system_r:container_t:s0';
const DEFAULT_FILE_LABEL = 'system_u:object_r:container_file_t:s0';

const CATEGORIES = 1_024;

/** A level of two categories that is not among those taken: pods cannot touch each other's files. */
export function freeLevel(taken: ReadonlySet<string>): string {
  for (;;) {
    const [low = 0, high = 0] = [randomInt(CATEGORIES), randomInt(CATEGORIES)].sort((a, b) => a - b);
    const level = `s0:c${low},c${high}`;
    if (low !== high && !taken.has(level)) return level;
  }
}

/** The labels of a pod: what its options say, and the given level where they do not say one. Throws INVALID_ARGUMENT. */
export function podLabels(options: SELinuxOption__Output | null, level: string): SelinuxLabels {
  const all = { user: '', role: '', type: '', ...options, level: options?.level || level };
  return {
    processLabel: relabel(DEFAULT_LABEL, all),
    mountLabel: relabel(DEFAULT_FILE_LABEL, ofFiles(all)),
  };
}

/** Role and type are those of processes only. */
function ofFiles({ user, level }: SELinuxOption__Output): SELinuxOption__Output {
  return { user, role: '', type: '', level };
}

/** The level of a label. */
export function levelOf(label: string): string {
  return label.split(':').slice(3).join(':');
}

/**
 * The SELinux labels: the pod's, with what the container says in place of its parts. The options are checked on every node, and
 * have an effect only where SELinux is; a privileged container is not labelled unless it asks.
 */
export function withSelinux(spec: RuntimeSpec, { config, sandbox, host }: SpecInput): RuntimeSpec {
  const { selinuxOptions, privileged } = securityOf(config);
  checkSelinuxOptions(selinuxOptions, FIELD);
  if (!host.selinux || (privileged && selinuxOptions === null)) return spec;
  const { processLabel = '', mountLabel = '' } = sandbox.selinux ?? {};
  const label = selinuxOptions === null ? processLabel : relabel(processLabel, selinuxOptions);
  const labelled = label === '' ? spec : withProcessPart(spec, { selinuxLabel: label });
  if (mountLabel === '') return labelled;
  const files = selinuxOptions === null ? mountLabel : relabel(mountLabel, ofFiles(selinuxOptions));
  return withLinuxPart(labelled, { mountLabel: files });
}

/** Throws INVALID_ARGUMENT for a part or a level that is none. */
export function checkSelinuxOptions(options: SELinuxOption__Output | null, field: string): void {
  if (options === null) return;
  for (const part of ['user', 'role', 'type'] as const) {
    const value = text(`${field}.${part}`, options[part]);
    if (/[:\s]/.test(value))
      throw invalid(`${field}.${part}`, `${JSON.stringify(value)} is not one part of a label`);
  }
  if (options.level !== '' && !LEVEL.test(options.level))
    throw invalid(`${field}.level`, `the format of ${JSON.stringify(options.level)} is not correct`);
}

function relabel(label: string, options: SELinuxOption__Output): string {
  // A level has colons of its own.
  const [user = '', role = '', type = '', ...level] = (label === '' ? DEFAULT_LABEL : label).split(':');
  return [
    options.user || user,
    options.role || role,
    options.type || type,
    options.level || level.join(':'),
  ].join(':');
}
