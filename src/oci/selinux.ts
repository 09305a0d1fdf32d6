import { randomInt } from 'node:crypto';
import type { RuntimeHandler } from '../config/schema.ts';
import type { SELinuxOption__Output } from '../gen/runtime/v1/SELinuxOption.ts';
import { invalid } from '../lib/errors.ts';
import { text } from './fields.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart, withProcessPart } from './input.ts';
import type { SelinuxPolicy } from './selinux-policy.ts';
import type { RuntimeSpec } from './types.ts';

/** Of containers, and of sandboxes, whose request has it at the same place. */
const FIELD = `${SECURITY}.selinux_options`;

/** The labels of a pod, or of one of its containers. */
export interface SelinuxLabels {
  /** Of its processes. */
  readonly processLabel: string;
  /** Of the files that it may write. */
  readonly mountLabel: string;
}

/** Sensitivities, and categories as single ones, lists and ranges: `s0:c1.c5,c7`. */
const LEVEL = /^s\d(-s\d)?(:c\d{1,4}(\.c\d{1,4})?(,c\d{1,4}(\.c\d{1,4})?)*)?$/;

const CATEGORIES = 1_024;
/** Pairs of categories. */
const LEVELS = (CATEGORIES * (CATEGORIES - 1)) / 2;

/** One after the other, from somewhere: pods that are made at the same time do not know of each other's. */
let next = randomInt(LEVELS);

/** A level of two categories that is not among those taken, nor has been given lately: pods cannot touch each other's files. */
export function freeLevel(taken: ReadonlySet<string>): string {
  for (;;) {
    const level = levelAt(next);
    next = (next + 1) % LEVELS;
    if (!taken.has(level)) return level;
  }
}

/** The pairs of a lower and a higher category, numbered: before those with the higher one `c` are the c * (c - 1) / 2 with a lower one. */
function levelAt(index: number): string {
  const high = Math.floor((1 + Math.sqrt(1 + 8 * index)) / 2);
  return `s0:c${index - (high * (high - 1)) / 2},c${high}`;
}

/**
 * The labels of a pod: what its options say, and where they say nothing those of the policy, with the given level if it has levels.
 * Throws INVALID_ARGUMENT for a label that the policy does not know.
 */
export function podLabels(
  policy: SelinuxPolicy,
  options: SELinuxOption__Output | null,
  level: string,
): SelinuxLabels {
  const { processLabel, fileLabel } = policy;
  const defaults = levelOf(processLabel) === '' ? NO_OPTIONS : { ...NO_OPTIONS, level };
  const labels = { processLabel: relabel(processLabel, defaults), mountLabel: relabel(fileLabel, defaults) };
  return relabelled(policy, labels, options);
}

/**
 * The labels of a container: the pod's, with what the container says in place of its parts; undefined on a node without SELinux, where
 * the options are checked nevertheless. Throws INVALID_ARGUMENT.
 */
export function containerLabels({
  config,
  sandbox,
  host,
}: Pick<SpecInput, 'config' | 'sandbox' | 'host'>): SelinuxLabels | undefined {
  const { selinuxOptions } = securityOf(config);
  checkSelinuxOptions(selinuxOptions, FIELD);
  if (host.selinux === undefined || sandbox.selinux === undefined) return undefined;
  return relabelled(host.selinux, sandbox.selinux, selinuxOptions);
}

/** The level of a label; '' when it has none. */
export function levelOf(label: string): string {
  return label.split(':').slice(3).join(':');
}

/**
 * The SELinux labels. As with containerd the processes of a privileged container are not confined, whatever label it asks for; its files
 * are labelled, for the other containers of the pod.
 */
export function withSelinux(spec: RuntimeSpec, input: SpecInput): RuntimeSpec {
  const labels = containerLabels(input);
  if (labels === undefined) return spec;
  const labelled = withLinuxPart(spec, { mountLabel: labels.mountLabel });
  if (securityOf(input.config).privileged) return labelled;
  const selinuxLabel = processLabelFor(labels, input.handler, input.host.selinux);
  return withProcessPart(labelled, { selinuxLabel });
}

/** The label that a runtime is to give its process: Kata's is a virtual machine, for which the policy has a type. */
export function processLabelFor(
  { processLabel }: SelinuxLabels,
  { type }: Pick<RuntimeHandler, 'type'>,
  policy: SelinuxPolicy | undefined,
): string {
  if (!type.startsWith('io.containerd.kata')) return processLabel;
  return relabel(processLabel, { ...NO_OPTIONS, type: policy?.machineType ?? '' });
}

/** What the mounts of a container's root file system, or of a volume that is its own, are to have: all files have the label then. */
export function withMountLabel<T extends { readonly options: readonly string[] }>(
  mounts: readonly T[],
  label: string | undefined,
): T[] {
  // In quotes, since a level may have commas.
  return mounts.map((mount) =>
    label === undefined ? mount : { ...mount, options: [...mount.options, `context="${label}"`] },
  );
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

const NO_OPTIONS: SELinuxOption__Output = { user: '', role: '', type: '', level: '' };

/** Role and type are those of processes only. */
function relabelled(
  policy: SelinuxPolicy,
  { processLabel, mountLabel }: SelinuxLabels,
  options: SELinuxOption__Output | null,
): SelinuxLabels {
  const all = options ?? NO_OPTIONS;
  const { user, level } = all;
  const labels = {
    processLabel: relabel(processLabel, all),
    mountLabel: relabel(mountLabel, { ...NO_OPTIONS, user, level }),
  };
  for (const label of Object.values(labels))
    if (!policy.knows(label))
      throw invalid(FIELD, `${JSON.stringify(label)} is no label of the policy of this node`);
  return labels;
}

function relabel(label: string, options: SELinuxOption__Output): string {
  // A level has colons of its own; a policy may have none.
  const [user = '', role = '', type = '', ...level] = label.split(':');
  return [options.user || user, options.role || role, options.type || type, options.level || level.join(':')]
    .filter((part) => part !== '')
    .join(':');
}
