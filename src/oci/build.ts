import { withAnnotations } from './annotations.ts';
import { withApparmor } from './apparmor.ts';
import { withCapabilities } from './capabilities.ts';
import { withCdiDevices } from './cdi/inject.ts';
import { withDevices } from './devices.ts';
import type { SpecInput, Step } from './input.ts';
import { withMounts } from './mounts.ts';
import { withNamespaces } from './namespaces.ts';
import { withProcess } from './process.ts';
import { withResourceClasses } from './resource-classes.ts';
import { withResources } from './resources.ts';
import { withCgroup, withRoot, withSysfsOfNode } from './root.ts';
import { withSeccomp } from './seccomp.ts';
import { withSelinux } from './selinux.ts';
import type { RuntimeSpec } from './types.ts';
import { withUser } from './user.ts';

/**
 * What is only computed comes before what looks at the node's files, and withMounts, which may make directories, after all that can
 * refuse the request. CDI edits the finished spec.
 */
const STEPS: readonly Step[] = [
  withRoot,
  withSysfsOfNode,
  withProcess,
  withUser,
  withCapabilities,
  withNamespaces,
  withCgroup,
  withResources,
  withApparmor,
  withSelinux,
  withAnnotations,
  withResourceClasses,
  withSeccomp,
  withDevices,
  withMounts,
  withCdiDevices,
];

/**
 * The runtime spec of a container. Throws INVALID_ARGUMENT naming the field for a bad request, FAILED_PRECONDITION for what this
 * node cannot do.
 */
export async function buildSpec(input: SpecInput): Promise<RuntimeSpec> {
  let spec = input.base;
  for (const step of STEPS) spec = await step(spec, input);
  return spec;
}
