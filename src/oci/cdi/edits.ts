import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import { BerthError, wrap } from '../../lib/errors.ts';
import { addDevices } from '../devices.ts';
import { deviceOf } from '../host-devices.ts';
import { withLinuxPart, withProcessPart } from '../input.ts';
import type { RuntimeFeatures } from '../runtime-features.ts';
import type { Hooks, LinuxDevice, RuntimeSpec, SpecMount } from '../types.ts';
import type { ContainerEdits, DeviceNode } from './specs.ts';

/** The spec with one set of edits applied, in the order in which the reference library applies them. */
export async function applyEdits(
  spec: RuntimeSpec,
  edits: ContainerEdits,
  runtime: RuntimeFeatures,
): Promise<RuntimeSpec> {
  let draft = withEnv(spec, edits.env);
  for (const node of edits.deviceNodes) draft = await withNode(draft, node);
  draft = withEditedMounts(draft, edits.mounts, runtime);
  draft = withHooks(draft, edits.hooks);
  draft = withGroups(draft, edits.additionalGids);
  if (edits.netDevices.length > 0) {
    const added = Object.fromEntries(
      edits.netDevices.map(({ hostInterfaceName, name }) => [hostInterfaceName, { name }]),
    );
    draft = withLinuxPart(draft, { netDevices: { ...draft.linux.netDevices, ...added } });
  }
  return edits.intelRdt === undefined ? draft : withLinuxPart(draft, { intelRdt: edits.intelRdt });
}

function withEnv(spec: RuntimeSpec, added: readonly string[]): RuntimeSpec {
  const nameOf = (variable: string): string => variable.slice(0, variable.indexOf('='));
  const variables = new Map([...spec.process.env, ...added].map((variable) => [nameOf(variable), variable]));
  return withProcessPart(spec, { env: [...variables.values()] });
}

async function withNode(spec: RuntimeSpec, node: DeviceNode): Promise<RuntimeSpec> {
  const { uid, gid } = spec.process.user;
  const device: LinuxDevice = {
    ...(await deviceFor(node)),
    // The user of the container may use what the vendor gave it.
    ...(node.uid !== undefined || uid > 0 ? { uid: node.uid ?? uid } : {}),
    ...(node.gid !== undefined || gid > 0 ? { gid: node.gid ?? gid } : {}),
    ...(node.fileMode === undefined ? {} : { fileMode: node.fileMode }),
  };
  const access = node.permissions === 'none' ? '' : node.permissions || 'rwm';
  if (device.type === 'b' || device.type === 'c') return addDevices(spec, [device], access);
  const others = (spec.linux.devices ?? []).filter(({ path }) => path !== device.path);
  return withLinuxPart(spec, { devices: [...others, device] });
}

/** Type and numbers as the file says, else those of the node's device. */
async function deviceFor(node: DeviceNode): Promise<LinuxDevice> {
  const { path, type, major = 0, minor = 0 } = node;
  if (type !== undefined && (major !== 0 || type === 'p')) return { path, type, major, minor };
  const hostPath = node.hostPath ?? path;
  const found = deviceOf(path, await statOf(hostPath));
  if (found === undefined)
    throw new BerthError('FAILED_PRECONDITION', `CDI device "${hostPath}" is not a device node`);
  if (type !== undefined && type !== found.type)
    throw new BerthError(
      'FAILED_PRECONDITION',
      `CDI device "${hostPath}" has type ${found.type}, not ${type}`,
    );
  return { path, type: found.type, major: found.major, minor: found.minor };
}

async function statOf(hostPath: string): Promise<Stats> {
  try {
    return await lstat(hostPath);
  } catch (error) {
    throw wrap(`failed to find CDI device "${hostPath}"`, error, 'FAILED_PRECONDITION');
  }
}

function withEditedMounts(
  spec: RuntimeSpec,
  added: ContainerEdits['mounts'],
  runtime: RuntimeFeatures,
): RuntimeSpec {
  if (added.length === 0) return spec;
  const mapped = runtime.idmap && spec.linux.namespaces.some(({ type }) => type === 'user');
  const mounts = new Map(spec.mounts.map((mount) => [mount.destination, mount]));
  for (const { containerPath, hostPath, type, options } of added) {
    const destination = posix.normalize(containerPath);
    const isBind = type === 'bind' || options.some((option) => ['bind', 'rbind'].includes(option));
    mounts.delete(destination);
    mounts.set(destination, {
      destination,
      source: hostPath,
      type: type === '' && isBind ? 'bind' : type,
      options: isBind && mapped ? [...options, 'idmap'] : options,
    });
  }
  const depth = ({ destination }: SpecMount): number => destination.split('/').length;
  return { ...spec, mounts: [...mounts.values()].sort((a, b) => depth(a) - depth(b)) };
}

function withHooks(spec: RuntimeSpec, added: ContainerEdits['hooks']): RuntimeSpec {
  if (added.length === 0) return spec;
  const hooks: Hooks = added.reduce<Hooks>((all, { hookName, path, args, env, timeout }) => {
    const hook = {
      path,
      ...(args === undefined ? {} : { args }),
      ...(env === undefined ? {} : { env }),
      ...(timeout === undefined ? {} : { timeout }),
    };
    return { ...all, [hookName]: [...(all[hookName] ?? []), hook] };
  }, spec.hooks ?? {});
  return { ...spec, hooks };
}

function withGroups(spec: RuntimeSpec, added: readonly number[]): RuntimeSpec {
  const { user } = spec.process;
  const gids = new Set([...user.additionalGids, ...added.filter((gid) => gid !== 0)]);
  return withProcessPart(spec, { user: { ...user, additionalGids: [...gids] } });
}
