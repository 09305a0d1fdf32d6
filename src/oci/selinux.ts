import type { SELinuxOption__Output } from '../gen/runtime/v1/SELinuxOption.ts';
import { invalid } from '../lib/errors.ts';
import { text } from './fields.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart, withProcessPart } from './input.ts';
import type { RuntimeSpec } from './types.ts';

const FIELD = `${SECURITY}.selinux_options`;

/** Sensitivities, and categories as single ones, lists and ranges: `s0:c1.c5,c7`. */
const LEVEL = /^s\d(-s\d)?(:c\d{1,4}(\.c\d{1,4})?(,c\d{1,4}(\.c\d{1,4})?)*)?$/;

/** The label of a process that its policy does not know better. Source: container-selinux. */
const DEFAULT_LABEL = 'system_u:system_r:container_t:s0';

/**
 * The SELinux labels: the pod's, with what the container says in place of its parts. The options are checked on every node, and
 * have an effect only where SELinux is; a privileged container is not labelled unless it asks.
 */
export function withSelinux(spec: RuntimeSpec, { config, sandbox, host }: SpecInput): RuntimeSpec {
  const { selinuxOptions, privileged } = securityOf(config);
  if (selinuxOptions !== null) checkOptions(selinuxOptions);
  if (!host.selinux || (privileged && selinuxOptions === null)) return spec;
  const { processLabel = '', mountLabel = '' } = sandbox.selinux ?? {};
  const label = selinuxOptions === null ? processLabel : relabel(processLabel, selinuxOptions);
  const labelled = label === '' ? spec : withProcessPart(spec, { selinuxLabel: label });
  return mountLabel === '' ? labelled : withLinuxPart(labelled, { mountLabel });
}

function checkOptions(options: SELinuxOption__Output): void {
  for (const part of ['user', 'role', 'type'] as const) {
    const value = text(`${FIELD}.${part}`, options[part]);
    if (/[:\s]/.test(value))
      throw invalid(`${FIELD}.${part}`, `${JSON.stringify(value)} is not one part of a label`);
  }
  if (options.level !== '' && !LEVEL.test(options.level))
    throw invalid(`${FIELD}.level`, `the format of ${JSON.stringify(options.level)} is not correct`);
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
