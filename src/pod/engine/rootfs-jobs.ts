/** Looks into root file systems, on a thread with a mount namespace of its own: what is mounted there nobody else sees. */
import { chmodSync, lchownSync, lstatSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount } from '../../containerd/types.ts';
import { CLONE_NEWNS, MS_REC, MS_SLAVE, mount, unshare } from '../../kernel/libc.ts';
import { mountFilesystem } from '../../kernel/mount-filesystem.ts';
import { unmountAll } from '../../kernel/mounts.ts';
import { type Accounts, readAccounts } from '../../oci/accounts.ts';
import type { LinuxIdMapping } from '../../oci/types.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
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

/** Each file once, however many names it has. chown(2) takes setuid and setgid bits away: they are set again. */
function remapTree(root: string, { uids: [uids], gids: [gids] }: IdMappings): void {
  const seen = new Set<bigint>();
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    if (!seen.has(stat.ino)) {
      seen.add(stat.ino);
      lchownSync(path, outside(Number(stat.uid), uids), outside(Number(stat.gid), gids));
      if (!stat.isSymbolicLink() && (stat.mode & 0o6000n) !== 0n)
        chmodSync(path, Number(stat.mode & 0o7777n));
    }
    if (stat.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(root);
}

/** An id beyond the mapping stays: to the container it is nobody's. */
function outside(id: number, { hostID, size }: LinuxIdMapping): number {
  return id < size ? id + hostID : id;
}

/** Once for the thread: mounts of others still arrive, ours leave no trace outside. */
function enterPrivateMountNamespace(): void {
  if (isPrivate) return;
  unshare(CLONE_NEWNS);
  mount('none', '/', 'none', MS_SLAVE | MS_REC, null);
  isPrivate = true;
}

export const jobs = { 'rootfs.inspect': inspect, 'rootfs.remap': remap };
