/** Looks into root file systems, on a thread with a mount namespace of its own: what is mounted there nobody else sees. */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount } from '../../containerd/types.ts';
import { CLONE_NEWNS, MS_REC, MS_SLAVE, mount, unshare } from '../../kernel/libc.ts';
import { mountFilesystem } from '../../kernel/mount-filesystem.ts';
import { unmountAll } from '../../kernel/mounts.ts';
import { type Accounts, readAccounts } from '../../oci/accounts.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import { remapTree } from './remap-tree.ts';
import { type EngineVolume, fillVolume } from './volume-content.ts';

/** What is to be found out about, and taken from, a root file system. */
export interface Inspection {
  readonly mounts: readonly Mount[];
  readonly volumes: readonly EngineVolume[];
  readonly idMappings: IdMappings | undefined;
}

let isPrivate = false;

function inspect(arg: unknown): Accounts {
  const { mounts, volumes, idMappings } = arg as Inspection;
  const root = { uid: idMappings?.uids[0].hostID ?? 0, gid: idMappings?.gids[0].hostID ?? 0 };
  return withMounted(mounts, { readonly: true }, (directory) => {
    for (const volume of volumes) fillVolume(directory, volume, root);
    return readAccounts(directory);
  });
}

function remap(arg: unknown): void {
  const { mounts, mappings } = arg as { mounts: readonly Mount[]; mappings: IdMappings };
  withMounted(mounts, { readonly: false }, (root) => remapTree(root, mappings));
}

function withMounted<T>(
  mounts: readonly Mount[],
  options: { readonly readonly: boolean },
  work: (root: string) => T,
): T {
  enterPrivateMountNamespace();
  const target = mkdtempSync(join(tmpdir(), 'berth-rootfs-'));
  try {
    for (const one of mounts) mountFilesystem(one, target, options);
    return work(target);
  } finally {
    unmountAll(target);
    rmdirSync(target);
  }
}

/** Once for the thread: mounts of others still arrive, ours leave no trace outside. */
function enterPrivateMountNamespace(): void {
  if (isPrivate) return;
  unshare(CLONE_NEWNS);
  mount('none', '/', 'none', MS_SLAVE | MS_REC, null);
  isPrivate = true;
}

export const jobs = { 'rootfs.inspect': inspect, 'rootfs.remap': remap };
