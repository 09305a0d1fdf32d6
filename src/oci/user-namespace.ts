import type { IDMapping__Output } from '../gen/runtime/v1/IDMapping.ts';
import type { PodSandboxConfig__Output } from '../gen/runtime/v1/PodSandboxConfig.ts';
import type { UserNamespace__Output } from '../gen/runtime/v1/UserNamespace.ts';
import { invalid } from '../lib/errors.ts';
import { SECURITY, type SpecInput, securityOf } from './input.ts';
import type { LinuxIdMapping } from './types.ts';

/** The mappings of a user namespace, one of each kind. */
export interface IdMappings {
  readonly uids: readonly [LinuxIdMapping];
  readonly gids: readonly [LinuxIdMapping];
}

/**
 * What the userns_options of a sandbox or a container ask for; undefined for the node's user namespace. Exactly one mapping
 * of each kind, and root must be mapped. Throws INVALID_ARGUMENT. Source: KEP-127.
 */
export function askedUserNamespace(
  options: UserNamespace__Output | null,
  field: string,
): IdMappings | undefined {
  if (options === null) return undefined;
  const { mode, uids, gids } = options;
  switch (mode) {
    case 'NODE':
      if (uids.length + gids.length > 0) throw invalid(field, 'mode NODE has no mappings');
      return undefined;
    case 'POD':
      return { uids: [onlyMapping(uids, `${field}.uids`)], gids: [onlyMapping(gids, `${field}.gids`)] };
    case 'CONTAINER':
    case 'TARGET':
    default:
      throw invalid(`${field}.mode`, `unsupported user namespace mode ${mode}`);
  }
}

function onlyMapping(mappings: readonly IDMapping__Output[], field: string): LinuxIdMapping {
  const [mapping] = mappings;
  if (mapping === undefined || mappings.length > 1)
    throw invalid(field, `only one mapping is supported, got ${mappings.length}`);
  if (mapping.length < 1) throw invalid(field, `invalid mapping length ${mapping.length}`);
  if (mapping.containerId !== 0) throw invalid(field, `id 0 of the container is not mapped`);
  return toSpecMapping(mapping);
}

/** A CRI mapping as the runtime spec writes it. */
export function toSpecMapping({ containerId, hostId, length }: IDMapping__Output): LinuxIdMapping {
  return { containerID: containerId, hostID: hostId, size: length };
}

/** The mappings of a sandbox; undefined when it has the node's user namespace. */
export function userMappings(config: PodSandboxConfig__Output): IdMappings | undefined {
  return askedUserNamespace(
    config.linux?.securityContext?.namespaceOptions?.usernsOptions ?? null,
    'sandbox_config.linux.security_context.namespace_options.userns_options',
  );
}

/** The container's mappings, which must be its sandbox's. */
export function containerUserNamespace({ config, sandbox }: SpecInput): IdMappings | undefined {
  const field = `${SECURITY}.namespace_options.userns_options`;
  const own = askedUserNamespace(securityOf(config).namespaceOptions?.usernsOptions ?? null, field);
  const pods = userMappings(sandbox.config);
  if (JSON.stringify(own) !== JSON.stringify(pods)) throw invalid(field, "differs from the sandbox's");
  return own;
}
