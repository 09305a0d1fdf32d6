/** The namespaces of one pod, made and removed in one synchronous breath on a worker thread. */
import { rmSync } from 'node:fs';
import { BerthError, invalid, isErrno, messageOf, wrap } from '../lib/errors.ts';
import { SyscallError } from './errno.ts';
import { close, openDescriptor, sethostname, unshare } from './libc.ts';
import { mountShm, unmountAll } from './mounts.ts';
import {
  Descriptors,
  goBack,
  NAMESPACE_FLAGS,
  type NamespaceKind,
  namespaceEntries,
  namespaceInode,
  pinNamespace,
  threadNamespace,
  unpinNamespace,
  withNamespaces,
} from './thread-namespaces.ts';
import { changeLink, LOOPBACK_INDEX } from './netlink/links.ts';
import { NetlinkSocket } from './netlink/socket.ts';
import { writeSysctl } from './sysctl.ts';
import { type IdMaps, withUserNamespaceProcess } from './user-namespace.ts';

/**
 * Namespaces that wait for the pod that will have them, as descriptors: nothing on disk is theirs, so that they end with Berth, or
 * with closeSpare. lo is up in them.
 */
export interface SpareNamespaces extends Readonly<Record<NamespaceKind, number>> {
  /** What was written in them already. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface PodNamespacesSpec {
  /** Where to pin each namespace; a kind without a path stays the host's. */
  readonly net?: string;
  readonly ipc?: string;
  readonly uts?: string;
  /** A user namespace of the pod's own, which the others that are made then belong to. */
  readonly user?: IdMaps & { readonly path: string };
  /** Needs uts. */
  readonly hostname?: string;
  /** Name (with dots or slashes) → value; each must belong to a namespace that is made here. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Brings lo up. Needs net. */
  readonly loopbackUp?: boolean;
  /** Directory to mount the pod's /dev/shm at. */
  readonly shm?: string;
  /** Taken instead of new ones, for a pod with all three kinds and no user namespace of its own; the caller's to close. */
  readonly spare?: SpareNamespaces;
}

/** Inode numbers of the namespaces that were made. */
export type NamespaceInodes = Partial<Record<NamespaceKind, number>>;

const SPARE_KINDS = ['net', 'ipc', 'uts'] as const;

/** Where a sysctl belongs: `net.*` to net, System V and POSIX IPC to ipc. */
const SYSCTL_NAMESPACES: readonly (readonly [NamespaceKind, RegExp])[] = [
  ['net', /^net[./]/],
  ['ipc', /^(kernel[./](shm|msg)\w*|kernel[./]sem|fs[./]mqueue[./]\w+)$/],
  ['uts', /^kernel[./](hostname|domainname)$/],
];

/** The kind of namespace that holds a sysctl; undefined for one of the whole machine. */
export function sysctlNamespace(name: string): NamespaceKind | undefined {
  return SYSCTL_NAMESPACES.find(([, pattern]) => pattern.test(name))?.[0];
}

/**
 * Makes the namespaces, pins and fills them. On failure nothing is left of them. Throws INVALID_ARGUMENT for a sysctl that
 * is not of a namespace made here; a ThreadPoisonedError when the thread could not go back.
 */
export function createPodNamespaces(spec: PodNamespacesSpec): NamespaceInodes {
  const pins = namespaceEntries(spec);
  checkSpec(spec);
  const undo: (() => void)[] = [];
  try {
    const pin = (kind: NamespaceKind, source: string, path: string): void => {
      naming(`failed to pin ${kind} namespace "${path}"`, () => pinNamespace(source, path));
      undo.push(() => unpinNamespace(path));
    };
    if (spec.spare !== undefined) {
      const { spare } = spec;
      for (const [kind, path] of pins) pin(kind, descriptorPath(spare[kind]), path);
      fillSpare(spec, spare);
    } else if (pins.length > 0 || spec.user !== undefined) {
      insideNew(
        pins.map(([kind]) => kind),
        spec.user,
        () => {
          const { user } = spec;
          if (user !== undefined) undo.push(() => unpinNamespace(user.path));
          for (const [kind, path] of pins) pin(kind, threadNamespace(kind), path);
          fill(spec);
        },
      );
    }
    const { shm } = spec;
    if (shm !== undefined) {
      naming(`failed to mount shm "${shm}"`, () => mountShm(shm));
      undo.push(() => unmountAll(shm));
    }
    return Object.fromEntries(pins.map(([kind, path]) => [kind, namespaceInode(path)]));
  } catch (error) {
    undoAll(undo, error);
    throw error;
  }
}

/** Makes namespaces that wait for their pod. Throws what unshare(2) and the sysctls throw; nothing is left then. */
export function makeSpare(sysctls: Readonly<Record<string, string>>): SpareNamespaces {
  const opened: number[] = [];
  const open = (kind: NamespaceKind): number => {
    const fd = openDescriptor(threadNamespace(kind));
    opened.push(fd);
    return fd;
  };
  try {
    let spare: SpareNamespaces | undefined;
    insideNew(SPARE_KINDS, undefined, () => {
      fill({ sysctls, loopbackUp: true });
      spare = { net: open('net'), ipc: open('ipc'), uts: open('uts'), sysctls };
    });
    if (spare === undefined) throw new BerthError('INTERNAL', 'no spare namespaces were made');
    return spare;
  } catch (error) {
    for (const fd of opened) close(fd);
    throw error;
  }
}

/** Writes sysctls in a pinned network namespace. Throws naming the one that the kernel refuses. */
export function writeNetworkSysctls(netns: string, sysctls: Readonly<Record<string, string>>): void {
  withNamespaces({ net: netns }, () => fill({ sysctls }));
}

/** Lets namespaces go that no pod took. */
export function closeSpare(spare: SpareNamespaces): void {
  for (const kind of SPARE_KINDS) close(spare[kind]);
}

function descriptorPath(fd: number): string {
  return `/proc/thread-self/fd/${fd}`;
}

/** Runs a function in new namespaces, that of users pinned before, and goes back to the thread's own. */
function insideNew(kinds: readonly NamespaceKind[], user: PodNamespacesSpec['user'], fn: () => void): void {
  if (user !== undefined) {
    withUserNamespaceProcess(user, (pid) => {
      const of = (kind: string): string => `/proc/${pid}/ns/${kind}`;
      pinNamespace(of('user'), user.path);
      withNamespaces(Object.fromEntries(kinds.map((kind) => [kind, of(kind)])), fn);
    });
    return;
  }
  using descriptors = new Descriptors();
  const moves = kinds.map((kind) => ({ kind, back: descriptors.open(threadNamespace(kind)) }));
  unshare(kinds.reduce((flags, kind) => flags | NAMESPACE_FLAGS[kind], 0));
  try {
    fn();
  } finally {
    goBack(moves);
  }
}

/** What the pod wants beyond what its spare has. */
function fillSpare({ hostname, sysctls = {} }: PodNamespacesSpec, spare: SpareNamespaces): void {
  const differing = Object.fromEntries(
    Object.entries(sysctls).filter(([name, value]) => spare.sysctls[name] !== value),
  );
  const kinds = new Set(Object.keys(differing).map(sysctlNamespace));
  if (hostname !== undefined) kinds.add('uts');
  if (kinds.size === 0) return;
  const paths = SPARE_KINDS.filter((kind) => kinds.has(kind)).map((kind): [NamespaceKind, string] => [
    kind,
    descriptorPath(spare[kind]),
  ]);
  withNamespaces(Object.fromEntries(paths), () =>
    fill({ ...(hostname === undefined ? {} : { hostname }), sysctls: differing }),
  );
}

function fill({ hostname, sysctls, loopbackUp }: PodNamespacesSpec): void {
  if (hostname !== undefined) {
    naming(`failed to set hostname "${hostname}"`, () => sethostname(hostname));
  }
  for (const [name, value] of Object.entries(sysctls ?? {})) {
    setSysctl(name, value);
  }
  if (loopbackUp === true) {
    naming('failed to bring up "lo"', () => {
      using socket = NetlinkSocket.open();
      socket.request(changeLink(LOOPBACK_INDEX, { up: true }));
    });
  }
}

/** What the kernel says of a name or a value that it does not have: the request asked for it. */
const BAD_SYSCTL = ['ENOENT', 'EINVAL', 'ERANGE', 'EACCES', 'EPERM'];

function setSysctl(name: string, value: string): void {
  try {
    writeSysctl(name, value);
  } catch (error) {
    const code = isErrno(error, ...BAD_SYSCTL) ? 'INVALID_ARGUMENT' : 'INTERNAL';
    throw wrap(`failed to set sysctl "${name}" to "${value}"`, error, code);
  }
}

/** Does one thing and names it when it fails. */
function naming(doing: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw error instanceof SyscallError ? error.toBerthError(doing) : wrap(doing, error, 'INTERNAL');
  }
}

function checkSpec(spec: PodNamespacesSpec): void {
  for (const name of Object.keys(spec.sysctls ?? {})) {
    const kind = sysctlNamespace(name);
    if (kind === undefined || spec[kind] === undefined) {
      const why =
        kind === undefined
          ? 'it belongs to no namespace of a pod'
          : `the pod has the host's ${kind} namespace`;
      throw invalid(`sysctl "${name}"`, why);
    }
  }
  if (spec.hostname !== undefined && spec.uts === undefined) {
    throw invalid('hostname', "the pod has the host's uts namespace");
  }
  if (spec.loopbackUp === true && spec.net === undefined) {
    throw invalid('loopbackUp', "the pod has the host's net namespace");
  }
}

/** Undoes in reverse; says so when something stays behind. */
function undoAll(undo: readonly (() => void)[], cause: unknown): void {
  const failures = runAll(undo.toReversed());
  if (failures.length > 0) {
    throw wrap(`failed to undo (${failures.join('; ')}) after`, cause);
  }
}

export interface PodNamespacesRemains {
  readonly pins: readonly string[];
  readonly shm?: string;
  /** Removed with all that is in it once the rest is gone. */
  readonly directory?: string;
}

/** Unpins the namespaces and detaches the shm mount, going past failures; absent is success. Throws when all was tried. */
export function removePodNamespaces({ pins, shm, directory }: PodNamespacesRemains): void {
  const steps = [
    ...(shm === undefined ? [] : [() => unmountAll(shm)]),
    ...pins.map((pin) => () => unpinNamespace(pin)),
  ];
  const failures = runAll(steps);
  if (failures.length > 0) {
    throw new BerthError('INTERNAL', `failed to remove namespaces: ${failures.join('; ')}`);
  }
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
}

/** Runs every step, going past failures; their messages. */
function runAll(steps: readonly (() => void)[]): string[] {
  return steps.flatMap((step) => {
    try {
      step();
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  });
}
