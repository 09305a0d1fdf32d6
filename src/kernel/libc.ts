/**
 * The C library: the only place that loads koffi. Every function is synchronous, acts on the calling thread,
 * throws a SyscallError with the errno of that very call, and is repeated when a signal interrupted it.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type koffi from 'koffi';
import { errnoName, SyscallError } from './errno.ts';

export const CLONE_FS = 0x0000_0200;
export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWUTS = 0x0400_0000;
export const CLONE_NEWIPC = 0x0800_0000;
export const CLONE_NEWNET = 0x4000_0000;

export const MS_RDONLY = 0x1;
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_SYNCHRONOUS = 0x10;
export const MS_REMOUNT = 0x20;
export const MS_MANDLOCK = 0x40;
export const MS_DIRSYNC = 0x80;
export const MS_NOSYMFOLLOW = 0x100;
export const MS_NOATIME = 0x400;
export const MS_NODIRATIME = 0x800;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_UNBINDABLE = 0x2_0000;
export const MS_PRIVATE = 0x4_0000;
export const MS_SLAVE = 0x8_0000;
export const MS_SHARED = 0x10_0000;
export const MS_RELATIME = 0x20_0000;
export const MS_STRICTATIME = 0x100_0000;
export const MS_LAZYTIME = 0x200_0000;

export const MNT_DETACH = 0x2;
export const UMOUNT_NOFOLLOW = 0x8;

export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x8_0000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDTIMEO = 21;
export const SO_RCVBUFFORCE = 33;
export const MSG_TRUNC = 0x20;

/** openat2: every path component, symlinks included, is resolved below the directory. */
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_NO_MAGICLINKS = 0x02;

const SYS_OPENAT2 = 437;
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const SYS_FSOPEN = 430;
const SYS_FSCONFIG = 431;
const SYS_FSMOUNT = 432;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
const MOUNT_ATTR_IDMAP = 0x10_0000n;
/** struct mount_attr (linux/mount.h): four numbers of 64 bits. */
const MOUNT_ATTR_BYTES = 32;

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const O_CLOEXEC = 0x8_0000;
const WNOHANG = 1;
const NO_ATTRIBUTE: readonly number[] = [constants.errno.ENODATA, constants.errno.EOPNOTSUPP];
const SIGPIPE = 13;
/** spawn.h and signal.h: flags, and sizes that are not less than those of glibc and musl on any architecture. */
const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const SPAWN_ACTIONS_BYTES = 256;
const SPAWN_ATTRIBUTES_BYTES = 1024;
const SIGSET_BYTES = 128;

/** termios.h: not less than glibc's and musl's on any architecture. */
const TERMIOS_BYTES = 128;
const TCSADRAIN = 1;

/** struct sock_fprog (linux/filter.h): how many instructions of 8 bytes, and where they are. */
interface SocketFilter {
  readonly len: number;
  readonly filter: Uint8Array;
}
const SOCK_FPROG_BYTES = 16;

type Value = number | bigint | string | Uint8Array | SocketFilter | null;
type Int = (...args: readonly (Value | readonly (string | null)[] | number[])[]) => number;

interface Libc {
  readonly errno: () => number;
  readonly setns: Int;
  readonly unshare: Int;
  readonly mount: Int;
  readonly umount2: Int;
  readonly chdir: Int;
  readonly fchdir: Int;
  readonly sethostname: Int;
  readonly flock: Int;
  readonly socket: Int;
  readonly bind: Int;
  readonly connect: Int;
  readonly setsockopt: Int;
  readonly setSocketFilter: Int;
  readonly send: Int;
  readonly recv: Int;
  readonly close: Int;
  readonly openat2: Int;
  readonly fsopen: Int;
  readonly fsconfig: Int;
  readonly fsmount: Int;
  readonly openTree: Int;
  readonly moveMount: Int;
  readonly mountSetattr: Int;
  readonly lgetxattr: Int;
  readonly lsetxattr: Int;
  readonly ioctl: Int;
  readonly ioctlNumber: Int;
  readonly tcgetattr: Int;
  readonly tcsetattr: Int;
  readonly cfmakeraw: (settings: Uint8Array) => void;
  readonly mkfifo: Int;
  readonly pipe2: Int;
  readonly exit: (status: number) => void;
  readonly waitpid: Int;
  readonly posixSpawn: Int;
  readonly spawnActionsInit: Int;
  readonly spawnActionsDup2: Int;
  readonly spawnActionsChdir: Int;
  readonly spawnActionsDestroy: Int;
  readonly spawnAttributesInit: Int;
  readonly spawnAttributesFlags: Int;
  readonly spawnAttributesGroup: Int;
  readonly spawnAttributesDefaults: Int;
  readonly spawnAttributesDestroy: Int;
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
    chdir: bind('int chdir(const char *path)'),
    fchdir: bind('int fchdir(int fd)'),
    sethostname: bind('int sethostname(const char *name, size_t length)'),
    flock: bind('int flock(int fd, int operation)'),
    socket: bind('int socket(int domain, int type, int protocol)'),
    bind: bind('int bind(int fd, const uint8_t *address, uint32_t length)'),
    connect: bind('int connect(int fd, const uint8_t *address, uint32_t length)'),
    setsockopt: bind('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)'),
    setSocketFilter: library.func('setsockopt', 'int', [
      'int',
      'int',
      'int',
      ffi.pointer(ffi.struct({ len: 'uint16_t', filter: 'const uint8_t *' })),
      'uint32_t',
    ]) as Int,
    send: bind('int64_t send(int fd, const uint8_t *buffer, size_t length, int flags)'),
    recv: bind('int64_t recv(int fd, uint8_t *buffer, size_t length, int flags)'),
    close: bind('int close(int fd)'),
    lgetxattr: bind('int64_t lgetxattr(const char *path, const char *name, uint8_t *value, size_t size)'),
    lsetxattr: bind(
      'int lsetxattr(const char *path, const char *name, const uint8_t *value, size_t size, int flags)',
    ),
    tcgetattr: bind('int tcgetattr(int fd, uint8_t *settings)'),
    tcsetattr: bind('int tcsetattr(int fd, int when, const uint8_t *settings)'),
    cfmakeraw: library.func('void cfmakeraw(uint8_t *settings)') as (settings: Uint8Array) => void,
    mkfifo: bind('int mkfifo(const char *path, uint32_t mode)'),
    pipe2: bind('int pipe2(_Out_ int *fds, int flags)'),
    exit: library.func('void _exit(int status)') as (status: number) => void,
    waitpid: bind('int waitpid(int pid, _Out_ int *status, int options)'),
    posixSpawn: bind(
      'int posix_spawn(_Out_ int *pid, const char *path, const uint8_t *actions, const uint8_t *attributes, const char **argv, const char **envp)',
    ),
    spawnActionsInit: bind('int posix_spawn_file_actions_init(uint8_t *actions)'),
    spawnActionsDup2: bind('int posix_spawn_file_actions_adddup2(uint8_t *actions, int fd, int newfd)'),
    spawnActionsChdir: bind('int posix_spawn_file_actions_addchdir_np(uint8_t *actions, const char *path)'),
    spawnActionsDestroy: bind('int posix_spawn_file_actions_destroy(uint8_t *actions)'),
    spawnAttributesInit: bind('int posix_spawnattr_init(uint8_t *attributes)'),
    spawnAttributesFlags: bind('int posix_spawnattr_setflags(uint8_t *attributes, short flags)'),
    spawnAttributesGroup: bind('int posix_spawnattr_setpgroup(uint8_t *attributes, int group)'),
    spawnAttributesDefaults: bind(
      'int posix_spawnattr_setsigdefault(uint8_t *attributes, const uint8_t *set)',
    ),
    spawnAttributesDestroy: bind('int posix_spawnattr_destroy(uint8_t *attributes)'),
    ioctl: library.func('ioctl', 'int', ['int', 'unsigned long', 'uint8_t *']) as Int,
    ioctlNumber: library.func('ioctl', 'int', ['int', 'unsigned long', 'unsigned long']) as Int,
    // glibc has these since 2.36, musl has not.
    fsopen: library.func('syscall', 'int64_t', ['int64_t', 'const char *', 'int']) as Int,
    fsconfig: library.func('syscall', 'int64_t', ['int64_t', 'int', 'int', 'void *', 'void *', 'int']) as Int,
    fsmount: library.func('syscall', 'int64_t', ['int64_t', 'int', 'int', 'int']) as Int,
    openTree: library.func('syscall', 'int64_t', ['int64_t', 'int', 'const char *', 'unsigned int']) as Int,
    moveMount: library.func('syscall', 'int64_t', [
      'int64_t',
      'int',
      'const char *',
      'int',
      'const char *',
      'unsigned int',
    ]) as Int,
    mountSetattr: library.func('syscall', 'int64_t', [
      'int64_t',
      'int',
      'const char *',
      'unsigned int',
      'const uint8_t *',
      'size_t',
    ]) as Int,
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

/** Changes the working directory, of the calling thread alone only after unshare(CLONE_FS). */
export function chdir(path: string): void {
  check('chdir', JSON.stringify(path), (c) => c.chdir(path));
}

/** As chdir, to an open directory. */
export function fchdir(fd: number): void {
  check('fchdir', '', (c) => c.fchdir(fd));
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

/** connect(2); of a non-blocking socket it throws EINPROGRESS, and called again EALREADY until it succeeds or fails. */
export function connect(fd: number, address: Uint8Array): void {
  check('connect', '', (c) => c.connect(fd, address, address.length));
}

export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): void {
  check('setsockopt', String(name), (c) => c.setsockopt(fd, level, name, value, value.length));
}

/** Gives a socket a classic BPF program: instructions of 8 bytes, one after the other (struct sock_filter). */
export function attachFilter(fd: number, program: Uint8Array): void {
  const filter = { len: program.length / 8, filter: program };
  check('setsockopt', 'SO_ATTACH_FILTER', (c) =>
    c.setSocketFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, SOCK_FPROG_BYTES),
  );
}

/** Sends one datagram, or what a stream has room for; the number of bytes that went. */
export function send(fd: number, buffer: Uint8Array): number {
  return check('send', '', (c) => c.send(fd, buffer, buffer.length, 0));
}

/**
 * Receives one datagram; its full length, which is more than the buffer's when it was cut (MSG_TRUNC). Of a stream, with flags 0:
 * what is there, 0 at its end.
 */
export function recv(fd: number, buffer: Uint8Array, flags = MSG_TRUNC): number {
  return check('recv', '', (c) => c.recv(fd, buffer, buffer.length, flags));
}

/** ioctl(2) with a structure or a number. */
export function ioctl(fd: number, request: number, argument: Uint8Array | number): number {
  return check('ioctl', `0x${request.toString(16)}`, (c) =>
    typeof argument === 'number' ? c.ioctlNumber(fd, request, argument) : c.ioctl(fd, request, argument),
  );
}

/** Closes a descriptor that libc opened; never repeated, since Linux frees it even when interrupted. */
export function close(fd: number): void {
  libc().close(fd);
}

/** Begins to make a file system of a type; the descriptor of what is to become one. */
export function fsopen(type: string): number {
  return check('fsopen', type, (c) => c.fsopen(SYS_FSOPEN, type, FSOPEN_CLOEXEC));
}

/** Makes the file system that fsopen() began. */
export function fsconfigCreate(context: number): void {
  check('fsconfig', '', (c) => c.fsconfig(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0));
}

/** A mount of a file system that fsconfigCreate() made, in no mount namespace; its root's descriptor. */
export function fsmount(context: number): number {
  return check('fsmount', '', (c) => c.fsmount(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, 0));
}

/** A copy of what is mounted at a path and below it, in no mount namespace yet; the descriptor of its root. */
export function openTree(path: string): number {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE;
  return check('open_tree', JSON.stringify(path), (c) => c.openTree(SYS_OPEN_TREE, AT_FDCWD, path, flags));
}

/** Mounts at a path what openTree() copied. */
export function moveMount(tree: number, target: string): void {
  check('move_mount', JSON.stringify(target), (c) =>
    c.moveMount(SYS_MOVE_MOUNT, tree, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
  );
}

/** Changes the mount that openTree() copied, and with `recursive` all below it: each of them or none. */
export function mountSetattr(
  tree: number,
  attributes: {
    /** MS_PRIVATE, MS_SLAVE… */
    readonly propagation?: number;
    /** A descriptor of the user namespace whose ids the files are to have. */
    readonly userNamespace?: number;
    readonly recursive: boolean;
  },
): void {
  const { propagation = 0, userNamespace, recursive } = attributes;
  const attr = Buffer.alloc(MOUNT_ATTR_BYTES);
  attr.writeBigUInt64LE(userNamespace === undefined ? 0n : MOUNT_ATTR_IDMAP, 0);
  attr.writeBigUInt64LE(BigInt(propagation), 16);
  attr.writeBigUInt64LE(BigInt(userNamespace ?? 0), 24);
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  check('mount_setattr', '', (c) =>
    c.mountSetattr(SYS_MOUNT_SETATTR, tree, '', flags, attr, MOUNT_ATTR_BYTES),
  );
}

/**
 * openat2(2): opens a path below a directory descriptor and never outside of it, whatever symlinks it meets.
 * resolve is a set of RESOLVE_… flags.
 */
export function openat2(
  directory: number,
  path: string,
  options: {
    readonly flags: number;
    readonly mode?: number;
    readonly resolve: number;
  },
): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(options.flags), 0);
  how.writeBigUInt64LE(BigInt(options.mode ?? 0), 8);
  how.writeBigUInt64LE(BigInt(options.resolve), 16);
  return check('openat2', JSON.stringify(path), (c) =>
    c.openat2(SYS_OPENAT2, directory, path, how, how.length),
  );
}

/**
 * A read-only descriptor of its own, for whichever thread uses it: those that node:fs opens on a worker thread are closed with
 * that thread. Close it with close().
 */
export function openDescriptor(path: string): number {
  return openat2(AT_FDCWD, path, { flags: O_CLOEXEC, resolve: 0 });
}

/**
 * Reads an extended attribute of a file, of a symlink itself, into the buffer; its length. 0 when the file has none, or its file system
 * keeps none: most have none, and an exception for each costs several times as much as the call.
 */
export function lgetxattr(path: string, name: string, value: Uint8Array): number {
  const subject = `${name} ${JSON.stringify(path)}`;
  return check('lgetxattr', subject, (c) => {
    const length = c.lgetxattr(path, name, value, value.length);
    return length < 0 && NO_ATTRIBUTE.includes(c.errno()) ? 0 : length;
  });
}

/** Sets an extended attribute of a file, of a symlink itself. */
export function lsetxattr(path: string, name: string, value: Uint8Array): void {
  check('lsetxattr', `${name} ${JSON.stringify(path)}`, (c) =>
    c.lsetxattr(path, name, value, value.length, 0),
  );
}

/** The settings of a terminal, a struct termios. */
export function terminalSettings(fd: number): Uint8Array {
  const settings = new Uint8Array(TERMIOS_BYTES);
  check('tcgetattr', '', (c) => c.tcgetattr(fd, settings));
  return settings;
}

/** Sets them, once what was written before is shown. */
export function setTerminal(fd: number, settings: Uint8Array): void {
  check('tcsetattr', '', (c) => c.tcsetattr(fd, TCSADRAIN, settings));
}

/** The same settings, with every byte passed on as it is in both directions. */
export function rawSettings(settings: Uint8Array): Uint8Array {
  const raw = Uint8Array.from(settings);
  libc().cfmakeraw(raw);
  return raw;
}

/** Makes a FIFO; the umask is taken off the mode. */
export function mkfifo(path: string, mode: number): void {
  check('mkfifo', JSON.stringify(path), (c) => c.mkfifo(path, mode));
}

/** Both ends of a new pipe, reading end first; neither is inherited. */
export function pipe(): readonly [number, number] {
  const ends = [0, 0];
  check('pipe2', '', (c) => c.pipe2(ends, O_CLOEXEC));
  return [ends[0] ?? 0, ends[1] ?? 0];
}

/** Ends the process at once: nothing is waited for, not even threads that wait for a tool or inside the kernel. */
export function exitProcess(status: number): void {
  libc().exit(status);
}

/** The wait status of a child that has ended, which is then forgotten; undefined while it runs. See waitpid(2). */
export function waitpid(pid: number): number | undefined {
  const status = [0];
  const ended = check('waitpid', `${pid}`, (c) => c.waitpid(pid, status, WNOHANG));
  return ended === pid ? (status[0] ?? 0) : undefined;
}

export interface SpawnRequest {
  readonly file: string;
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly directory: string;
  /** What becomes its descriptors 0, 1 and 2. */
  readonly descriptors: readonly [number, number, number];
}

/**
 * Starts a process that leads a group of its own, and returns its pid. Unlike fork(2), which copies the page tables of the
 * whole daemon, posix_spawn(3) costs the same however large that is. All other descriptors must be close-on-exec, as Node's are.
 */
export function posixSpawn({ file, args, env, directory, descriptors }: SpawnRequest): number {
  const c = libc();
  const actions = new Uint8Array(SPAWN_ACTIONS_BYTES);
  const attributes = new Uint8Array(SPAWN_ATTRIBUTES_BYTES);
  c.spawnActionsInit(actions);
  c.spawnAttributesInit(attributes);
  try {
    c.spawnActionsChdir(actions, directory);
    for (const [target, fd] of descriptors.entries()) c.spawnActionsDup2(actions, fd, target);
    c.spawnAttributesFlags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    c.spawnAttributesGroup(attributes, 0);
    c.spawnAttributesDefaults(attributes, signalSet(SIGPIPE));
    const pid = [0];
    const errno = c.posixSpawn(pid, file, actions, attributes, [file, ...args, null], [...env, null]);
    if (errno !== 0) throw new SyscallError('posix_spawn', errno, file);
    return pid[0] ?? 0;
  } finally {
    c.spawnAttributesDestroy(attributes);
    c.spawnActionsDestroy(actions);
  }
}

/** Node ignores SIGPIPE, and what is ignored stays so over an exec: the child gets it back. */
function signalSet(signal: number): Uint8Array {
  const set = new Uint8Array(SIGSET_BYTES);
  const bit = signal - 1;
  set[bit >> 3] = 1 << (bit & 7);
  return set;
}
