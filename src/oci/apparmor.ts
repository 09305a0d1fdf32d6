import { BerthError, invalid } from '../lib/errors.ts';
import { SECURITY, type SpecInput, securityOf, withProcessPart } from './input.ts';
import { askedProfile } from './security-profile.ts';
import type { RuntimeSpec } from './types.ts';

/**
 * The AppArmor profile. Without a request it is RuntimeDefault where the kernel has AppArmor and a default profile was loaded; one
 * that somebody has unloaded since is loaded again. A privileged container has a profile only when it names a Localhost one. What
 * is asked for and cannot be had is refused.
 */
export async function withApparmor(spec: RuntimeSpec, { config, host }: SpecInput): Promise<RuntimeSpec> {
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
    if (!apparmor.isLoaded(asked.ref)) throw invalid(asked.field, `apparmor profile not found ${asked.ref}`);
    return withProcessPart(spec, { apparmorProfile: asked.ref });
  }
  if (security.privileged) return spec;
  const { defaultProfile } = apparmor;
  if (defaultProfile === undefined) {
    if (asked === undefined) return spec;
    throw new BerthError('FAILED_PRECONDITION', 'no default apparmor profile is loaded on this node');
  }
  if (!apparmor.isLoaded(defaultProfile.name)) await defaultProfile.load();
  return withProcessPart(spec, { apparmorProfile: defaultProfile.name });
}
