/**
 * The directory of one network's reservations, as the reference plugin keeps it: one file per address, `lock`, and
 * `last_reserved_ip.<set>`. Both may work on one directory at the same time: all is done under the same flock.
 *
 * Two things are our own. A file gets its name only when its content is in it, so that a crash leaves no address without an
 * owner. And what is in the directory is remembered between calls, and believed as long as the directory's modification
 * time is the one that we gave it: a value that no clock gives (below), so any other's change shows.
 */
import {
  closeSync,
  existsSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { makeDirectorySync } from '../../../../lib/directories.ts';
import { codeOf, isErrno, messageOf } from '../../../../lib/errors.ts';
import { FileLock } from '../../../../kernel/flock.ts';
import { CniCode, CniError } from '../../../cni/types.ts';
import { type Address, formatAddress, parseAddress } from '../../address.ts';
import { FileIndex, LAST_RESERVED, type Reservation, UNNAMED } from './file-index.ts';

/** The reference plugin creates the lock file with this mode, less the umask. */
const LOCK_MODE = 0o750;

/** The kernel's file times lag behind the clock by up to a tick (10 ms); a time further back is never given again. */
const BEHIND_MS = 20;

const OWNERLESS_AFTER_MS = 60_000;

/** How long a lock is waited for at most, in milliseconds: whoever holds it longer hangs, and all pods of this thread with him. */
const LOCK_MS = 30_000;

interface Known {
  readonly index: FileIndex;
  /** Identity and modification time of the directory for which the index holds. */
  stamp: string;
}

/** The directories that were worked on before. One per thread, since what it remembers is shared with nobody. */
export class Directories {
  private readonly known = new Map<string, Known>();

  /**
   * Locks a directory; dispose of what is returned. With `create` it is made when absent, else undefined is returned. Throws a CniError
   * of code TryAgainLater (11), which names the holder, when the lock is not free by `deadline`, in milliseconds since the epoch.
   */
  open(path: string, create: boolean, deadline = Number.POSITIVE_INFINITY): Reservations | undefined {
    const lock = lockIn(path, create, Math.max(0, Math.min(LOCK_MS, deadline - Date.now())));
    if (lock === undefined) return undefined;
    try {
      const known = this.known.get(path) ?? { index: new FileIndex(), stamp: '' };
      this.known.set(path, known);
      if (known.stamp !== stampOf(path)) {
        known.index.refresh(path);
        known.stamp = stampOf(path);
      }
      return new Reservations(path, lock, known);
    } catch (error) {
      lock.release();
      throw error;
    }
  }
}

/** The directory is there but for the first time; undefined when it is not and is not to be made. */
function lockIn(path: string, create: boolean, timeoutMs: number): FileLock | undefined {
  const acquire = (): FileLock => lock(`${path}/lock`, timeoutMs);
  try {
    return acquire();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    if (!create && !existsSync(path)) return undefined;
    if (!create) throw error;
    makeDirectorySync(path, 0o755);
    return acquire();
  }
}

function lock(path: string, timeoutMs: number): FileLock {
  try {
    return FileLock.acquire(path, { mode: LOCK_MODE, timeoutMs: Math.round(timeoutMs) });
  } catch (error) {
    if (codeOf(error) !== 'DEADLINE_EXCEEDED') throw error;
    throw new CniError(CniCode.TryAgainLater, messageOf(error));
  }
}

function stampOf(path: string): string {
  const { dev, ino, mtimeNs } = statSync(path, { bigint: true });
  return `${dev}:${ino}:${mtimeNs}`;
}

/** One locked directory. */
export class Reservations implements Disposable {
  private readonly path: string;
  private readonly lock: FileLock;
  private readonly known: Known;
  private isChanged = false;
  private isDoubtful = false;

  constructor(path: string, lock: FileLock, known: Known) {
    this.path = path;
    this.lock = lock;
    this.known = known;
  }

  get index(): FileIndex {
    return this.known.index;
  }

  /** Reservations of one attachment; those that name only the container when there is none with its interface. */
  of(containerId: string, ifName: string): Reservation[] {
    const exact = this.index.ownedBy(ownerText(containerId, ifName));
    return exact.length > 0 ? exact : this.index.ownedBy(containerId.trim());
  }

  /**
   * Addresses whose file has been telling no owner for a minute: its writer held the lock that we hold now, so none is coming. Those
   * that somebody has anyway are left out.
   */
  ownerless(living: ReadonlySet<string>): Reservation[] {
    const before = Date.now() - OWNERLESS_AFTER_MS;
    return this.index
      .ownedBy('')
      .filter(({ name, address, mtimeMs }) => address !== undefined && mtimeMs < before && !living.has(name));
  }

  /** The address that was handed out last from the set with this number. */
  lastReserved(set: number): Address | undefined {
    try {
      return parseAddress(readFileSync(`${this.path}/${LAST_RESERVED}${set}`, 'latin1'));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** False when the address has an owner already. */
  reserve(address: Address, containerId: string, ifName: string, set: number): boolean {
    if (this.index.taken.has(address)) return false;
    const name = formatAddress(address);
    const owner = ownerText(containerId, ifName);
    const unnamed = `${this.path}/${UNNAMED}`;
    this.isChanged = true;
    const { ino, mtimeMs } = writeOwner(unnamed, owner);
    try {
      linkSync(unnamed, `${this.path}/${name}`);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      this.isDoubtful = true;
      return false;
    } finally {
      unlinkSync(unnamed);
    }
    this.index.add({ name, address, owner, ino, mtimeMs });
    overwrite(`${this.path}/${LAST_RESERVED}${set}`, name);
    return true;
  }

  /** Frees an address; that its file is gone already is as good. */
  release({ name }: Reservation): void {
    this.isChanged = true;
    try {
      unlinkSync(`${this.path}/${name}`);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    this.index.delete(name);
  }

  /** Lets the lock go; the index stays valid unless a file was met that it did not know. */
  [Symbol.dispose](): void {
    try {
      if (this.isChanged) this.known.stamp = this.isDoubtful ? '' : restamp(this.path);
    } finally {
      this.lock.release();
    }
  }
}

/** What a reservation's file says. */
export function ownerText(containerId: string, ifName: string): string {
  return `${containerId.trim()}\r\n${ifName}`;
}

/** The content is not synced: what power loss takes away belonged to a container that is gone as well. */
function writeOwner(path: string, owner: string): { ino: number; mtimeMs: number } {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeSync(fd, owner);
    return fstatSync(fd);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Not truncated before it is written: ext4 brings such a file to disk when it is closed, which takes longer than all the rest. */
function overwrite(path: string, text: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    writeSync(fd, text, 0);
    ftruncateSync(fd, text.length);
  } finally {
    closeSync(fd);
  }
}

/** Gives the directory a modification time that tells our last change from any other; '' when that is not possible. */
function restamp(path: string): string {
  try {
    const now = new Date();
    utimesSync(path, now, (now.getTime() - BEHIND_MS + Math.random()) / 1000);
    return stampOf(path);
  } catch {
    return '';
  }
}
