import { realpath } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ContainerConfig__Output } from '../gen/runtime/v1/ContainerConfig.ts';
import type { Device__Output } from '../gen/runtime/v1/Device.ts';
import { invalid, isErrno, messageOf } from '../lib/errors.ts';
import { absolutePath } from './fields.ts';
import { devicesAt, hostDevices } from './host-devices.ts';
import { type SpecInput, securityOf, withLinuxPart } from './input.ts';
import type { LinuxDevice, LinuxDeviceRule, RuntimeSpec } from './types.ts';

const ALL_ALLOWED: LinuxDeviceRule = { allow: true, access: 'rwm' };
/** /dev/console, which OCI runtimes open to mount a container's terminal upon it. */
const CONSOLE: LinuxDeviceRule = { allow: true, type: 'c', major: 5, minor: 1, access: 'rw' };

/**
 * The devices that are asked for, and leave to use them. A privileged container has all of the node's, unless its handler says
 * otherwise.
 */
export async function withDevices(spec: RuntimeSpec, input: SpecInput): Promise<RuntimeSpec> {
  const { config, handler, ownDevices } = input;
  const owner = ownDevices ? ownerOf(config) : {};
  const asked = (await Promise.all(config.devices.map(askedDevices))).map(({ devices, access }) => ({
    devices: devices.map((device) => ({ ...device, ...owner })),
    access,
  }));
  const { privileged } = securityOf(config);
  if (privileged && !handler.privilegedWithoutHostDevices) {
    const devices = byPath([...(await hostDevices()), ...asked.flatMap(({ devices }) => devices)]);
    return allAllowed(withLinuxPart(spec, { devices }));
  }
  const begun = config.tty && hasDevOfNode(config) ? withRules(spec, [CONSOLE]) : spec;
  const added = asked.reduce((draft, { devices, access }) => addDevices(draft, devices, access), begun);
  return privileged && handler.privilegedWithoutHostDevicesAllDevicesAllowed ? allAllowed(added) : added;
}

/** Then the console is the node's, not a file that the OCI runtime makes. */
function hasDevOfNode({ mounts }: ContainerConfig__Output): boolean {
  return mounts.some(
    ({ containerPath, hostPath }) =>
      posix.resolve(containerPath) === '/dev' && posix.resolve(hostPath) === '/dev',
  );
}

function allAllowed(spec: RuntimeSpec): RuntimeSpec {
  return withLinuxPart(spec, { resources: { ...spec.linux.resources, devices: [ALL_ALLOWED] } });
}

/** As containerd's device_ownership_from_security_context has it: the node's user or group where the container has root, or does not say. */
function ownerOf(config: ContainerConfig__Output): Pick<LinuxDevice, 'uid' | 'gid'> {
  const { runAsUser, runAsGroup } = securityOf(config);
  const uid = Number(runAsUser?.value ?? 0);
  const gid = Number(runAsGroup?.value ?? 0);
  return { ...(uid === 0 ? {} : { uid }), ...(gid === 0 ? {} : { gid }) };
}

/** The draft with some more devices, each in place of one at the same path, and with leave to use them. */
export function addDevices(spec: RuntimeSpec, devices: readonly LinuxDevice[], access: string): RuntimeSpec {
  if (devices.length === 0) return spec;
  const rules = devices.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access }));
  return withRules(
    withLinuxPart(spec, { devices: byPath([...(spec.linux.devices ?? []), ...devices]) }),
    rules,
  );
}

function withRules(spec: RuntimeSpec, rules: readonly LinuxDeviceRule[]): RuntimeSpec {
  const { resources } = spec.linux;
  return withLinuxPart(spec, { resources: { ...resources, devices: [...resources.devices, ...rules] } });
}

/** One device for each path, the last one. */
function byPath(devices: readonly LinuxDevice[]): LinuxDevice[] {
  return [...new Map(devices.map((device) => [device.path, device])).values()];
}

async function askedDevices(
  { hostPath, containerPath, permissions }: Device__Output,
  i: number,
): Promise<{ devices: LinuxDevice[]; access: string }> {
  const field = `config.devices[${i}]`;
  if (!/^[rwm]{1,3}$/.test(permissions))
    throw invalid(`${field}.permissions`, `${JSON.stringify(permissions)} is not made of r, w and m`);
  const from = absolutePath(`${field}.host_path`, hostPath);
  const to = containerPath === '' ? from : absolutePath(`${field}.container_path`, containerPath);
  try {
    const devices = await devicesAt(await realpath(from), to);
    if (devices.length === 0) throw new Error('not a device node');
    return { devices, access: permissions };
  } catch (error) {
    const problem = isErrno(error, 'ENOENT') ? 'no such file or directory' : messageOf(error);
    throw invalid(`${field}.host_path`, `cannot use the device ${JSON.stringify(hostPath)}: ${problem}`);
  }
}
