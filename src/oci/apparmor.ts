import { BerthError, invalid } from '../lib/errors.ts';
import { SECURITY, type SpecInput, securityOf, withProcessPart } from './input.ts';
import { askedProfile } from './security-profile.ts';
import type { RuntimeSpec } from './types.ts';

/**
 * The AppArmor profile. Without a request it is RuntimeDefault where the kernel has AppArmor and a default profile was loaded; a
 * privileged container has it only when it names a Localhost profile. What is asked for and cannot be had is refused.
 */
export function withApparmor(spec: RuntimeSpec, { config, host }: SpecInput): RuntimeSpec {
  const security = securityOf(config);
  const asked = askedProfile({
    profile: security.apparmor,
    profileField: `${SECURITY}.apparmor`,
    path: security.apparmorProfile,
    pathField: `${SECURITY}.apparmor_profile`,
  });
  if (asked?.type === 'Unconfined') return spec;
  const { apparmor } = host;
  if (apparmor === undefined) {
    if (asked === undefined) return spec;
    throw new BerthError('FAILED_PRECONDITION', 'apparmor is not supported by this kernel');
  }
  if (asked?.type === 'Localhost') {
    if (!apparmor.isLoaded(asked.ref))
      throw invalid(`${SECURITY}.apparmor.localhost_ref`, `apparmor profile not found ${asked.ref}`);
    return withProcessPart(spec, { apparmorProfile: asked.ref });
  }
  if (security.privileged) return spec;
  if (apparmor.defaultProfile !== undefined)
    return withProcessPart(spec, { apparmorProfile: apparmor.defaultProfile });
  if (asked === undefined) return spec;
  throw new BerthError('FAILED_PRECONDITION', 'no default apparmor profile is loaded on this node');
}
