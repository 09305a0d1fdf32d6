import { asUserId } from './fields.ts';
import { readInRoot } from './rootfs-file.ts';

/** The users and groups that an image knows. Empty when it has no such file. */
export interface Accounts {
  readonly users: readonly Account[];
  readonly groups: readonly Group[];
}

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** More than any distribution writes; /etc/group of a big directory service has a few megabytes. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Reads /etc/passwd and /etc/group below the root directory of an image, never outside of it. Blocks: it is meant for the
 * thread that has the image mounted. Throws FAILED_PRECONDITION when one is no regular file or absurdly large.
 */
export function readAccounts(root: string): Accounts {
  return {
    users: parsePasswd(readInRoot(root, '/etc/passwd', MOST_BYTES) ?? ''),
    groups: parseGroup(readInRoot(root, '/etc/group', MOST_BYTES) ?? ''),
  };
}

/** Reads passwd(5). A line whose ids are no ids is left out: it must not stand for uid 0. */
export function parsePasswd(text: string): Account[] {
  return entries(text).flatMap(([name = '', , uidText = '', gidText = '']) => {
    const uid = asUserId(uidText);
    const gid = asUserId(gidText);
    return name === '' || uid === undefined || gid === undefined ? [] : [{ name, uid, gid }];
  });
}

/** Reads group(5). */
export function parseGroup(text: string): Group[] {
  return entries(text).flatMap(([name = '', , gidText = '', members = '']) => {
    const gid = asUserId(gidText);
    if (name === '' || gid === undefined) return [];
    return [{ name, gid, members: members.split(',').filter((member) => member !== '') }];
  });
}

function entries(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(':'));
}
