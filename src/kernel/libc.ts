/**
 * The C library: the only place that loads koffi. Every function is synchronous, acts on the calling thread,
 * throws a SyscallError with the errno of that very call, and is repeated when a signal interrupted it.
 */
import { createRequire } from 'node:module';
import type koffi from 'koffi';
import { errnoName, SyscallError } from './errno.ts';

export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWUTS = 0x0400_0000;
export const CLONE_NEWIPC = 0x0800_0000;
export const CLONE_NEWNET = 0x4000_0000;

export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_REMOUNT = 0x20;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x4_0000;
export const MS_SLAVE = 0x8_0000;
export const MS_SHARED = 0x10_0000;

export const MNT_DETACH = 0x2;
export const UMOUNT_NOFOLLOW = 0x8;

export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0x8_0000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_RCVBUFFORCE = 33;
export const MSG_TRUNC = 0x20;

/** openat2: every path component, symlinks included, is resolved below the directory. */
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_NO_MAGICLINKS = 0x02;

const SYS_OPENAT2 = 437;

type Int = (...args: readonly (number | bigint | string | Uint8Array | null)[]) => number;

interface Libc {
  readonly errno: () => number;
  readonly setns: Int;
  readonly unshare: Int;
  readonly mount: Int;
  readonly umount2: Int;
  readonly sethostname: Int;
  readonly flock: Int;
  readonly socket: Int;
  readonly bind: Int;
  readonly setsockopt: Int;
  readonly send: Int;
  readonly recv: Int;
  readonly close: Int;
  readonly openat2: Int;
  readonly mkfifo: Int;
}

let loaded: Libc | undefined;

/** Loaded at the first call (11 ms), so that commands that need no kernel work start without it. */
function libc(): Libc {
  loaded ??= load();
  return loaded;
}

function load(): Libc {
  const ffi = createRequire(import.meta.url)('koffi') as typeof koffi;
  const library = ffi.load(null);
  const bind = (prototype: string): Int => library.func(prototype) as Int;
  return {
    errno: () => ffi.errno(),
    setns: bind('int setns(int fd, int nstype)'),
    unshare: bind('int unshare(int flags)'),
    mount: bind(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    umount2: bind('int umount2(const char *target, int flags)'),
    sethostname: bind('int sethostname(const char *name, size_t length)'),
    flock: bind('int flock(int fd, int operation)'),
    socket: bind('int socket(int domain, int type, int protocol)'),
    bind: bind('int bind(int fd, const uint8_t *address, uint32_t length)'),
    setsockopt: bind('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)'),
    send: bind('int64_t send(int fd, const uint8_t *buffer, size_t length, int flags)'),
    recv: bind('int64_t recv(int fd, uint8_t *buffer, size_t length, int flags)'),
    close: bind('int close(int fd)'),
    mkfifo: bind('int mkfifo(const char *path, uint32_t mode)'),
    openat2: library.func('syscall', 'int64_t', [
      'int64_t',
      'int',
      'const char *',
      'const uint8_t *',
      'size_t',
    ]) as Int,
  };
}

/** Calls until no signal interrupts; the answer, or a SyscallError. */
function check(name: string, subject: string, call: (c: Libc) => number): number {
  const c = libc();
  for (;;) {
    const result = call(c);
    if (result >= 0) {
      return result;
    }
    const errno = c.errno();
    if (errnoName(errno) !== 'EINTR') {
      throw new SyscallError(name, errno, subject);
    }
  }
}

/** Moves the calling thread into the namespace behind a descriptor; kind is a CLONE_NEW… flag. */
export function setns(fd: number, kind: number): void {
  check('setns', '', (c) => c.setns(fd, kind));
}

/** Gives the calling thread new namespaces; flags are CLONE_NEW… */
export function unshare(flags: number): void {
  check('unshare', '', (c) => c.unshare(flags));
}

export function mount(
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
): void {
  check('mount', JSON.stringify(target), (c) => c.mount(source, target, type, flags, data));
}

export function umount2(target: string, flags: number): void {
  check('umount2', JSON.stringify(target), (c) => c.umount2(target, flags));
}

/** Sets the host name of the calling thread's UTS namespace. */
export function sethostname(name: string): void {
  check('sethostname', JSON.stringify(name), (c) => c.sethostname(name, Buffer.byteLength(name)));
}

/** flock(2); with LOCK_NB a lock that is taken throws EAGAIN. */
export function flock(fd: number, operation: number): void {
  check('flock', '', (c) => c.flock(fd, operation));
}

export function socket(domain: number, type: number, protocol: number): number {
  return check('socket', '', (c) => c.socket(domain, type, protocol));
}

export function bind(fd: number, address: Uint8Array): void {
  check('bind', '', (c) => c.bind(fd, address, address.length));
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): void {
  check('setsockopt', String(name), (c) => c.setsockopt(fd, level, name, value, value.length));
}

/** Sends one datagram; the number of bytes that went. */
export function send(fd: number, buffer: Uint8Array): number {
  return check('send', '', (c) => c.send(fd, buffer, buffer.length, 0));
}

/** Receives one datagram; its full length, which is more than the buffer's when it was cut (MSG_TRUNC). */
export function recv(fd: number, buffer: Uint8Array): number {
  return check('recv', '', (c) => c.recv(fd, buffer, buffer.length, MSG_TRUNC));
}

/** Closes a descriptor that libc opened; never repeated, since Linux frees it even when interrupted. */
export function close(fd: number): void {
  libc().close(fd);
}

/**
 * openat2(2): opens a path below a directory descriptor and never outside of it, whatever symlinks it meets.
 * resolve is a set of RESOLVE_… flags.
 */
export function openat2(
  directory: number,
  path: string,
  options: { readonly flags: number; readonly mode?: number; readonly resolve: number },
): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(options.flags), 0);
  how.writeBigUInt64LE(BigInt(options.mode ?? 0), 8);
  how.writeBigUInt64LE(BigInt(options.resolve), 16);
  return check('openat2', JSON.stringify(path), (c) =>
    c.openat2(SYS_OPENAT2, directory, path, how, how.length),
  );
}

/** Makes a FIFO; the umask is taken off the mode. */
export function mkfifo(path: string, mode: number): void {
  check('mkfifo', JSON.stringify(path), (c) => c.mkfifo(path, mode));
}
