import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findLink, type Link, listLinks } from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { messageOf } from '../../../../lib/errors.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import { badValue, failure, type KnownKeys, objectAt, stringAt } from '../../config.ts';
import { canonicalMac } from '../../main-conf.ts';
import type { PluginArgs } from '../../plugin.ts';

/** How the device is named: the first of these that is given counts. */
export interface HostDeviceConf {
  readonly device: string;
  readonly hwaddr: string;
  readonly kernelpath: string;
  readonly pciBusID: string;
  /** On the auxiliary bus. */
  readonly auxiliary: string;
  /** A driver of user space has it: there is no interface, and all that a container is given is the address. */
  readonly userspace: boolean;
}

export const keys: KnownKeys = { device: true, hwaddr: true, kernelpath: true, pciBusID: true };

const PCI = '/sys/bus/pci/devices';
const AUXILIARY = '/sys/bus/auxiliary/devices';
const USERSPACE_DRIVERS: readonly string[] = ['vfio-pci', 'uio_pci_generic', 'igb_uio'];

/** Reads and checks the configuration. Throws CniError. */
export function decode({ config }: PluginArgs): HostDeviceConf {
  const id = stringAt(objectAt(config, 'runtimeConfig') ?? {}, 'deviceID', 'runtimeConfig.deviceID') ?? '';
  const named = namedDevice(config, id);
  if (Object.values(named).every((each) => each === '')) {
    throw failure('specify either "device", "hwaddr", "kernelpath" or "pciBusID"');
  }
  return { ...named, userspace: named.pciBusID !== '' && hasUserspaceDriver(named.pciBusID) };
}

function namedDevice(config: JsonObject, id: string): Omit<HostDeviceConf, 'userspace'> {
  const text = (name: string): string => stringAt(config, name) ?? '';
  const named = {
    device: text('device'),
    hwaddr: text('hwaddr'),
    kernelpath: text('kernelpath'),
    pciBusID: busId(text('pciBusID'), 'pciBusID'),
    auxiliary: '',
  };
  if (id === '') return named;
  if (existsSync(join(PCI, busId(id, 'runtimeConfig.deviceID')))) return { ...named, pciBusID: id };
  if (existsSync(join(AUXILIARY, id))) return { ...named, pciBusID: '', auxiliary: id };
  throw failure(`runtime config DeviceID ${id} not found or unsupported`);
}

/** Becomes part of a path. */
function busId(id: string, path: string): string {
  if (id.includes('/') || id === '.' || id === '..')
    throw badValue(path, `${JSON.stringify(id)} is no device`);
  return id;
}

function hasUserspaceDriver(id: string): boolean {
  try {
    return USERSPACE_DRIVERS.includes(basename(realpathSync(join(PCI, id, 'driver'))));
  } catch (error) {
    throw failure(`error with host device: ${messageOf(error)}`);
  }
}

/** The device among the host's interfaces. Throws CniError when there is none. */
export function findDevice(host: NetlinkSocket, conf: HostDeviceConf): Link {
  const link = lookUp(host, conf);
  if (link === undefined) throw failure('failed to find host device: Link not found');
  return link;
}

function lookUp(host: NetlinkSocket, conf: HostDeviceConf): Link | undefined {
  if (conf.device !== '') return findLink(host, conf.device);
  if (conf.hwaddr !== '') {
    const mac = canonicalMac(conf.hwaddr, `failed to parse MAC address ${JSON.stringify(conf.hwaddr)}`);
    return listLinks(host).find((link) => link.mac === mac);
  }
  if (conf.kernelpath !== '') return findLink(host, firstOf(join(kernelPath(conf.kernelpath), 'net')));
  if (conf.pciBusID !== '') return findLink(host, firstOf(pciDirectory(conf.pciBusID)));
  return findLink(host, firstOf(join(AUXILIARY, conf.auxiliary, 'net')));
}

function kernelPath(path: string): string {
  if (path.startsWith('/sys/devices/') && !path.split('/').includes('..')) return path;
  throw failure(`kernel device path ${JSON.stringify(path)} must be absolute and begin with /sys/devices/`);
}

/** A virtio device has one more level. */
function pciDirectory(id: string): string {
  const device = join(PCI, id);
  if (existsSync(join(device, 'net'))) return join(device, 'net');
  const virtio = entries(device).find(
    (name) => name.startsWith('virtio') && existsSync(join(device, name, 'net')),
  );
  if (virtio === undefined) throw failure(`no net directory under pci device ${id}`);
  return join(device, virtio, 'net');
}

function firstOf(directory: string): string {
  const [first] = entries(directory);
  if (first === undefined) throw failure(`failed to find network device in path ${directory}`);
  return first;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw failure(`failed to read directory ${directory}: ${messageOf(error)}`);
  }
}
