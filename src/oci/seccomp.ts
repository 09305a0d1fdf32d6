import { readFile, stat } from 'node:fs/promises';
import { BerthError, invalid, messageOf } from '../lib/errors.ts';
import { isJsonObject } from '../lib/json.ts';
import { decodeJson } from '../lib/exact-json.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart } from './input.ts';
import { askedProfile, type LocalhostProfile, profileOfPath } from './security-profile.ts';
import { seccompFromTemplate } from './seccomp-template.ts';
import type { LinuxSeccomp, RuntimeSpec } from './types.ts';

/**
 * The seccomp filter. None for a privileged container; where nothing is asked for that of `[runtime] unset_seccomp_profile`, as
 * containerd has it. Follows withCapabilities, whose result RuntimeDefault depends on.
 */
export async function withSeccomp(
  spec: RuntimeSpec,
  { config, host, seccomp, unsetSeccomp }: SpecInput,
): Promise<RuntimeSpec> {
  const security = securityOf(config);
  const profile =
    askedProfile({
      profile: security.seccomp,
      profileField: `${SECURITY}.seccomp`,
      path: security.seccompProfilePath,
      pathField: `${SECURITY}.seccomp_profile_path`,
    }) ?? profileOfPath('runtime.unset_seccomp_profile', unsetSeccomp);
  if (profile === undefined || profile.type === 'Unconfined' || security.privileged) return spec;
  if (!host.seccomp) throw new BerthError('FAILED_PRECONDITION', 'seccomp is not supported by this kernel');
  const filter =
    profile.type === 'Localhost'
      ? await readProfile(profile)
      : seccompFromTemplate(seccomp, spec.process.capabilities.bounding, host.architecture);
  return withLinuxPart(spec, { seccomp: filter });
}

const MOST_BYTES = 4 * 1024 * 1024;

/** A profile on this node, which is a runtime spec's `seccomp` object. kubelet gives the full path. */
async function readProfile({ ref: path, field }: LocalhostProfile): Promise<LinuxSeccomp> {
  if (!path.startsWith('/')) throw invalid(field, `${JSON.stringify(path)} is not an absolute path`);
  try {
    const file = await stat(path);
    if (!file.isFile()) throw new Error('it is not a regular file');
    if (file.size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
    return checkProfile(decodeJson(await readFile(path, 'utf8')));
  } catch (error) {
    throw invalid(field, `cannot use the profile "${path}": ${messageOf(error)}`);
  }
}

/** Keys that the specification does not have are the runtime's to ignore; only the frame is looked at. */
function checkProfile(profile: unknown): LinuxSeccomp {
  if (!isJsonObject(profile)) throw new Error('it is not a JSON object');
  const { defaultAction, syscalls } = profile;
  if (typeof defaultAction !== 'string') throw new Error('defaultAction is missing');
  if (syscalls !== undefined && syscalls !== null && !Array.isArray(syscalls))
    throw new Error('syscalls is not a list');
  return { ...profile, defaultAction };
}
