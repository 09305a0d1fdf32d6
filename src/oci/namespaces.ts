import type { ContainerConfig__Output } from '../gen/runtime/v1/ContainerConfig.ts';
import { BerthError, invalid } from '../lib/errors.ts';
import { SECURITY, type SpecInput, securityOf, withLinuxPart } from './input.ts';
import type { LinuxNamespace, NamespaceType, RuntimeSpec } from './types.ts';
import { containerUserNamespace } from './user-namespace.ts';

export type PidMode = 'POD' | 'CONTAINER' | 'NODE' | 'TARGET';

/** The container's pid mode, POD when it does not say: the proto's default. Throws INVALID_ARGUMENT. */
export function pidMode(config: ContainerConfig__Output): PidMode {
  const options = securityOf(config).namespaceOptions;
  const mode = options?.pid ?? 'POD';
  const field = `${SECURITY}.namespace_options`;
  if (!['POD', 'CONTAINER', 'NODE', 'TARGET'].includes(mode))
    throw invalid(`${field}.pid`, `unknown mode ${mode}`);
  if (mode === 'TARGET' && options?.targetId === '')
    throw invalid(`${field}.target_id`, 'must be set when pid is TARGET');
  return mode;
}

/**
 * The namespaces: network, ipc, uts and user are the pod's, or the node's where the pod has none of its own; mount is the
 * container's. On cgroup v2 the container sees its own cgroup as the root, unless it is privileged.
 */
export function withNamespaces(spec: RuntimeSpec, input: SpecInput): RuntimeSpec {
  const { sandbox, host, config } = input;
  const { network, ipc, uts, user } = sandbox.namespaces;
  const mappings = containerUserNamespace(input);
  const namespaces: LinuxNamespace[] = [
    { type: 'mount' },
    ...joined('network', network),
    ...joined('ipc', ipc),
    ...joined('uts', uts),
    ...pidNamespace(input),
    ...(host.cgroups === 'v2' && !securityOf(config).privileged ? [{ type: 'cgroup' } as const] : []),
    ...(mappings === undefined ? [] : joined('user', user)),
  ];
  if (mappings === undefined) return withLinuxPart(spec, { namespaces });
  if (user === undefined)
    throw new BerthError('FAILED_PRECONDITION', 'the sandbox has no user namespace of its own');
  return withLinuxPart(spec, { namespaces, uidMappings: mappings.uids, gidMappings: mappings.gids });
}

function joined(type: NamespaceType, path: string | undefined): LinuxNamespace[] {
  return path === undefined ? [] : [{ type, path }];
}

function pidNamespace({ config, pidNamespace: path }: SpecInput): LinuxNamespace[] {
  const mode = pidMode(config);
  switch (mode) {
    case 'CONTAINER':
      return [{ type: 'pid' }];
    case 'NODE':
      return [];
    case 'POD':
    case 'TARGET':
      if (path === undefined)
        throw new BerthError('INTERNAL', `failed to find the pid namespace to join for mode ${mode}`);
      return joined('pid', path);
  }
}
