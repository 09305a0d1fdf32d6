import { constants } from 'node:os';
import { BerthError, type ErrorCode } from '../lib/errors.ts';

/** Name of an errno number: `EEXIST` for 17; `E123` for one that Node has no name for. */
export function errnoName(number: number): string {
  for (const [name, value] of Object.entries(constants.errno)) {
    if (value === number) {
      // EWOULDBLOCK and EOPNOTSUPP have twins of the same number; the first in the table is the usual name.
      return ALIASES[name] ?? name;
    }
  }
  return OTHER_NAMES[number] ?? `E${number}`;
}

const ALIASES: Readonly<Record<string, string>> = { EWOULDBLOCK: 'EAGAIN', ENOTSUP: 'EOPNOTSUPP' };

/** Numbers that rtnetlink or mount answer with and that node:os does not list (Linux, all architectures we run on). */
const OTHER_NAMES: Readonly<Record<number, string>> = { 49: 'EUNATCH', 117: 'EUCLEAN', 524: 'ENOTSUPP' };

const REASONS: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  ESRCH: 'no such process',
  EINTR: 'interrupted system call',
  EIO: 'input/output error',
  ENXIO: 'no such device or address',
  EBADF: 'bad file descriptor',
  EAGAIN: 'resource temporarily unavailable',
  ENOMEM: 'cannot allocate memory',
  EACCES: 'permission denied',
  EFAULT: 'bad address',
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EXDEV: 'invalid cross-device link',
  ENODEV: 'no such device',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  EINVAL: 'invalid argument',
  ENFILE: 'too many open files in system',
  EMFILE: 'too many open files',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  ERANGE: 'numerical result out of range',
  ENAMETOOLONG: 'file name too long',
  ENOSYS: 'function not implemented',
  ELOOP: 'too many levels of symbolic links',
  EMSGSIZE: 'message too long',
  EPROTONOSUPPORT: 'protocol not supported',
  EOPNOTSUPP: 'operation not supported',
  EAFNOSUPPORT: 'address family not supported by protocol',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  ENOBUFS: 'no buffer space available',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ENOTCONN: 'transport endpoint is not connected',
  EISCONN: 'transport endpoint is already connected',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ESTALE: 'stale file handle',
};

/** What an errno says in words, as libc and Go say it. */
export function errnoReason(name: string): string {
  return REASONS[name] ?? `errno ${name}`;
}

/** What the operator may look at, where that is known from the system call and its errno. */
const HINTS: Readonly<Record<string, string>> = {
  'setns EPERM': 'entering a namespace needs CAP_SYS_ADMIN',
  'unshare EPERM': 'creating namespaces needs CAP_SYS_ADMIN',
  'unshare ENOSPC': 'the limit of namespaces is reached: see /proc/sys/user/max_*_namespaces',
  'mount EPERM': 'mounting needs CAP_SYS_ADMIN',
  'mount_setattr ENOSYS': 'idmapped mounts need Linux 5.12',
  'mount_setattr EINVAL': 'the file system has no idmapped mounts, or not in this kernel',
  'mount_setattr EPERM': 'is it idmapped already?',
  'umount2 EPERM': 'unmounting needs CAP_SYS_ADMIN',
  'RTM_NEWLINK EPERM': 'changing links needs CAP_NET_ADMIN',
  'RTM_NEWLINK EOPNOTSUPP': 'does the kernel have this kind of link?',
  'RTM_NEWADDR EACCES': 'is IPv6 disabled on this interface?',
  'RTM_NEWADDR EOPNOTSUPP': 'is this address family enabled in the kernel?',
  'RTM_NEWADDR EAFNOSUPPORT': 'is IPv6 enabled in the kernel?',
  'RTM_NEWROUTE EAFNOSUPPORT': 'is IPv6 enabled in the kernel?',
  'RTM_NEWQDISC ENOENT': 'does the kernel have this queueing discipline?',
};

/**
 * A system call, or a netlink request, that the kernel refused. `code` is the errno's name, as in Node's own
 * exceptions, so that isErrno of lib/errors knows it.
 */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly code: string;
  readonly errno: number;
  /** `setns`, or the type of a netlink request: `RTM_NEWLINK`. */
  readonly syscall: string;
  /** What it was called on, and what else the kernel said; may be ''. */
  readonly subject: string;
  readonly detail: string;

  constructor(syscall: string, errno: number, subject = '', detail = '') {
    const code = errnoName(errno);
    const hint = HINTS[`${syscall} ${code}`];
    const on = subject === '' ? '' : ` ${subject}`;
    const said = detail === '' ? '' : `: ${detail}`;
    super(`${syscall}${on}: ${errnoReason(code)}${said}${hint === undefined ? '' : ` (${hint})`}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.subject = subject;
    this.detail = detail;
  }

  /** The errno in words, with nothing around it. */
  get reason(): string {
    return errnoReason(this.code);
  }

  /** As a BerthError: `<doing>: <message>`, with errno and call in its meta. */
  toBerthError(doing: string): BerthError {
    const meta = { syscall: this.syscall, errno: this.code };
    return new BerthError(errorCodeOf(this.code), `${doing}: ${this.message}`, { cause: this, meta });
  }
}

/**
 * An errno says little about a request: only lack of permission and of resources keep a code of their own.
 * NOT_FOUND in particular has a meaning to kubelet that ENOENT has not.
 */
function errorCodeOf(errno: string): ErrorCode {
  switch (errno) {
    case 'EPERM':
    case 'EACCES':
      return 'PERMISSION_DENIED';
    case 'ENOMEM':
    case 'ENOSPC':
    case 'EMFILE':
    case 'ENFILE':
    case 'EDQUOT':
    case 'ENOBUFS':
      return 'RESOURCE_EXHAUSTED';
    default:
      return 'INTERNAL';
  }
}
