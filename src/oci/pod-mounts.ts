import { stat } from 'node:fs/promises';
import type { IDMapping__Output } from '../gen/runtime/v1/IDMapping.ts';
import type { Mount__Output } from '../gen/runtime/v1/Mount.ts';
import { isErrno } from '../lib/errors.ts';
import { type SpecInput, securityOf } from './input.ts';

const NODE_SHM = '/dev/shm';

/**
 * What a container has of its pod: /etc/hostname, /etc/hosts, /etc/resolv.conf, read-only with a read-only root, and /dev/shm.
 * A file that is not there is left out.
 */
export async function podMounts(input: SpecInput): Promise<Mount__Output[]> {
  const { config, sandbox } = input;
  const security = securityOf(config);
  const userns = security.namespaceOptions?.usernsOptions;
  const mappings = { uids: userns?.uids ?? [], gids: userns?.gids ?? [] };
  const file = (containerPath: string, hostPath: string): Mount__Output =>
    bind(containerPath, hostPath, security.readonlyRootfs, mappings);
  const wanted = [
    file('/etc/hostname', sandbox.files.hostname),
    file('/etc/hosts', sandbox.files.hosts),
    file('/etc/resolv.conf', sandbox.files.resolvConf),
    // It is empty at first, and tmpfs can be idmapped only since Linux 6.3.
    bind('/dev/shm', sandbox.shm === '' ? NODE_SHM : sandbox.shm, false, { uids: [], gids: [] }),
  ];
  const there = await Promise.all(wanted.map(({ hostPath }) => isThere(hostPath)));
  return wanted.filter((_, i) => there[i] === true);
}

function bind(
  containerPath: string,
  hostPath: string,
  readonly: boolean,
  mappings: { readonly uids: IDMapping__Output[]; readonly gids: IDMapping__Output[] },
): Mount__Output {
  return {
    containerPath,
    hostPath,
    readonly,
    selinuxRelabel: hostPath !== NODE_SHM,
    propagation: 'PROPAGATION_PRIVATE',
    uidMappings: mappings.uids,
    gidMappings: mappings.gids,
    recursiveReadOnly: false,
    image: null,
    imageSubPath: '',
  };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
