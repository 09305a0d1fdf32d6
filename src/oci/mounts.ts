import { realpath, stat } from 'node:fs/promises';
import type { Mount__Output } from '../gen/runtime/v1/Mount.ts';
import { listMounts } from '../kernel/mounts.ts';
import { makeDirectory } from '../lib/directories.ts';
import { BerthError, codeOf, invalid, isErrno, wrap } from '../lib/errors.ts';
import { absolutePath } from './fields.ts';
import { type SpecInput, withLinuxPart } from './input.ts';
import { checkPropagation, mountOf } from './propagation.ts';
import { podMounts } from './pod-mounts.ts';
import type { RuntimeSpec, SpecMount } from './types.ts';
import { toSpecMapping } from './user-namespace.ts';

/** A mount that was checked, and the field that it came from. */
interface Checked {
  readonly mount: Mount__Output;
  readonly field: string;
  readonly destination: string;
  /** Of the pod, or a volume of the image. */
  readonly isExtra: boolean;
}

/**
 * Adds the mounts of the config, the volumes of the image and the pod's own files, upper directories first. One of the config
 * replaces a default or a pod's file at the same path; one at /dev replaces all below it.
 *
 * A host path that is absent is made, a directory of mode 0755, as containerd does; all mounts are checked before the first is.
 * Throws INVALID_ARGUMENT for a bad mount; FAILED_PRECONDITION for one that this node cannot make.
 */
export async function withMounts(spec: RuntimeSpec, input: SpecInput): Promise<RuntimeSpec> {
  const { config, mounts: asked = config.mounts, extraMounts = [] } = input;
  const own = asked.map((mount, i) => check(mount, `config.mounts[${i}]`, input, false));
  const extra = [...extraMounts, ...(await podMounts(input))].map((mount) =>
    check(mount, `the mount at "${mount.containerPath}"`, input, true),
  );
  const taken = new Set(own.map(({ destination }) => destination));
  // Of the others the pod's files come last, and a volume of the image at the same path gives way.
  const others = new Map(extra.map((one) => [one.destination, one]));
  const binds = [...own, ...[...others.values()].filter(({ destination }) => !taken.has(destination))].sort(
    (a, b) => depth(a.destination) - depth(b.destination),
  );
  const kept = withoutHidden(spec.mounts, new Set(binds.map(({ destination }) => destination)));
  const made: SpecMount[] = [];
  for (const bind of binds) {
    const mount = await bindMount(bind);
    await relabelSource(bind, mount.source, spec.linux.mountLabel, input);
    made.push(await mapped(bind, mount, input));
  }
  const propagation = rootPropagation(binds);
  const next = { ...spec, mounts: [...kept, ...made] };
  return propagation === undefined ? next : withLinuxPart(next, { rootfsPropagation: propagation });
}

function check(mount: Mount__Output, field: string, { runtime }: SpecInput, isExtra: boolean): Checked {
  const destination = absolutePath(`${field}.container_path`, mount.containerPath);
  if (destination === '/') throw invalid(`${field}.container_path`, 'must not be the root directory');
  absolutePath(`${field}.host_path`, mount.hostPath);
  if (!(mount.propagation in PROPAGATION))
    throw invalid(`${field}.propagation`, `unknown mode ${mount.propagation}`);
  checkRecursiveReadOnly(mount, field);
  if (mount.recursiveReadOnly && !runtime.recursiveReadOnly) {
    // kubelet knows the first word.
    throw new BerthError(
      'FAILED_PRECONDITION',
      `RROUnsupported: runtime "${runtime.name}" does not support recursive read-only mounts (hostPath="${mount.hostPath}")`,
    );
  }
  if ((mount.uidMappings.length === 0) !== (mount.gidMappings.length === 0))
    throw invalid(field, 'must map both uids and gids, or neither');
  return { mount, field, destination, isExtra };
}

/** Source: KEP-3857. */
function checkRecursiveReadOnly(mount: Mount__Output, field: string): void {
  if (!mount.recursiveReadOnly) return;
  if (!mount.readonly)
    throw invalid(`${field}.recursive_read_only`, 'conflicts with a mount that is not readonly');
  if (mount.propagation !== 'PROPAGATION_PRIVATE')
    throw invalid(`${field}.recursive_read_only`, `needs private propagation, got ${mount.propagation}`);
}

/** Number of directories on the way: an upper mount made later would hide a lower one. */
const depth = (path: string): number => path.split('/').length;

function withoutHidden(mounts: readonly SpecMount[], taken: ReadonlySet<string>): SpecMount[] {
  return mounts.filter(
    ({ destination }) => !taken.has(destination) && !(taken.has('/dev') && destination.startsWith('/dev/')),
  );
}

async function bindMount({ mount, field, destination }: Checked): Promise<SpecMount> {
  const source = await hostDirectory(`${field}.host_path`, mount.hostPath);
  const propagation = PROPAGATION[mount.propagation];
  if (propagation !== 'rprivate') await checkPropagation(source, propagation);
  const access = mount.recursiveReadOnly ? 'rro' : mount.readonly ? 'ro' : 'rw';
  return {
    destination,
    type: 'bind',
    source,
    options: ['rbind', propagation, access],
    ...(mount.uidMappings.length === 0
      ? {}
      : {
          uidMappings: mount.uidMappings.map(toSpecMapping),
          gidMappings: mount.gidMappings.map(toSpecMapping),
        }),
  };
}

/** Where the runtime maps no ids, the bind is made from a mount that has them mapped already. */
async function mapped(
  { mount: { hostPath }, destination, isExtra }: Checked,
  mount: SpecMount,
  { runtime, mapHostPath }: SpecInput,
): Promise<SpecMount> {
  const { uidMappings: uids, gidMappings: gids, ...plain } = mount;
  if (uids === undefined || gids === undefined || runtime.idmap) return mount;
  try {
    return { ...plain, source: await mapHostPath(mount.source, { uids, gids }) };
  } catch (error) {
    // The files of the pod can be read by all: unmapped they belong to nobody.
    if (isExtra && codeOf(error) === 'FAILED_PRECONDITION') return plain;
    const type = mountOf(mount.source, listMounts())?.type ?? 'its file system';
    const problem = `it needs an idmapped mount, which runtime "${runtime.name}" does not support and Berth cannot make on ${type}`;
    throw wrap(`failed to mount "${hostPath}" at "${destination}": ${problem}`, error);
  }
}

/** What other programs of the node use, or all of the node: a container must not take it from them by labelling it. */
const NEVER_RELABELLED = new Set([
  ...[
    '/',
    '/bin',
    '/boot',
    '/dev',
    '/etc',
    '/home',
    '/lib',
    '/lib64',
    '/media',
    '/mnt',
    '/opt',
    '/proc',
    '/root',
  ],
  ...[
    '/run',
    '/sbin',
    '/srv',
    '/sys',
    '/tmp',
    '/usr',
    '/usr/bin',
    '/usr/lib',
    '/usr/sbin',
    '/var',
    '/var/lib',
  ],
  ...['/var/log', '/var/tmp', '/etc/passwd', '/etc/shadow', '/etc/pki', '/etc/ssl'],
]);

/** Only where SELinux is. An image volume is read-only, and labelled as the engine's images are. */
async function relabelSource(
  { mount, field }: Checked,
  source: string,
  label: string | undefined,
  { relabel }: SpecInput,
): Promise<void> {
  if (!mount.selinuxRelabel || mount.image !== null || label === undefined || relabel === undefined) return;
  if (NEVER_RELABELLED.has(source))
    throw invalid(`${field}.selinux_relabel`, `"${source}" must keep its label`);
  await relabel(source, label);
}

const PROPAGATION = {
  PROPAGATION_PRIVATE: 'rprivate',
  PROPAGATION_HOST_TO_CONTAINER: 'rslave',
  PROPAGATION_BIDIRECTIONAL: 'rshared',
} as const;

/** The path without symlinks; made when absent. */
async function hostDirectory(field: string, path: string): Promise<string> {
  try {
    if (!(await exists(path))) await makeDirectory(path, 0o755);
    return await realpath(path);
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'ENOENT'))
      throw invalid(field, `cannot use "${path}": ${error.message}`);
    throw wrap(`failed to find or make host path "${path}"`, error, 'INTERNAL');
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** The root file system must let through what one of its mounts does. */
function rootPropagation(binds: readonly Checked[]): 'rshared' | 'rslave' | undefined {
  const has = (kind: Mount__Output['propagation']): boolean =>
    binds.some(({ mount }) => mount.propagation === kind);
  if (has('PROPAGATION_BIDIRECTIONAL')) return 'rshared';
  return has('PROPAGATION_HOST_TO_CONTAINER') ? 'rslave' : undefined;
}
