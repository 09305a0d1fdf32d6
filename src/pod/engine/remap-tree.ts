import {
  type BigIntStats,
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  readdirSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  capabilitiesInNamespace,
  fileCapabilities,
  setFileCapabilities,
} from '../../kernel/file-capabilities.ts';
import type { LinuxIdMapping } from '../../oci/types.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';

/** The first name of a file that has several, and which file is there since it has its new owner. */
interface Linked {
  readonly path: string;
  readonly file: string;
}

/**
 * Gives all files of a tree the owners that they have outside of a user namespace: each file once, however many names it has. Blocks.
 */
export function remapTree(root: string, mappings: IdMappings): void {
  const linked = new Map<string, Linked>();
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const first = linked.get(fileOf(stat));
    if (first !== undefined) {
      // An overlay without an index copies a file up under the one name that is changed: the others still show the lower one.
      if (fileOf(stat) !== first.file) relink(path, first.path);
      return;
    }
    remapFile(path, stat, mappings);
    if (stat.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else if (stat.nlink > 1n)
      linked.set(fileOf(stat), { path, file: fileOf(lstatSync(path, { bigint: true })) });
  };
  visit(root);
}

/** The layers of an overlay may be on several file systems. */
function fileOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** chown(2) takes setuid and setgid bits and file capabilities away: they are given back. */
function remapFile(path: string, stat: BigIntStats, { uids: [uids], gids: [gids] }: IdMappings): void {
  const capabilities = stat.isFile() ? fileCapabilities(path) : undefined;
  lchownSync(path, outside(Number(stat.uid), uids), outside(Number(stat.gid), gids));
  if (!stat.isSymbolicLink() && (stat.mode & 0o6000n) !== 0n) chmodSync(path, Number(stat.mode & 0o7777n));
  if (capabilities !== undefined)
    setFileCapabilities(
      path,
      capabilitiesInNamespace(capabilities, (uid) => outside(uid, uids)),
    );
}

/** Makes a path another name of a file, symlinks themselves included; its directory keeps its times. */
function relink(path: string, target: string): void {
  const directory = dirname(path);
  const { atimeMs, mtimeMs } = lstatSync(directory);
  unlinkSync(path);
  linkSync(target, path);
  utimesSync(directory, atimeMs / 1_000, mtimeMs / 1_000);
}

/** An id beyond the mapping stays: to the container it is nobody's. */
function outside(id: number, { hostID, size }: LinuxIdMapping): number {
  return id < size ? id + hostID : id;
}
