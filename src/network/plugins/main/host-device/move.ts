/**
 * A device between host and container. On its way it is given the other name in the request that moves it, so that no udev and no
 * NetworkManager sees it half done; its name on the host is kept as the alias, as the reference plugin keeps it.
 */
import { changeLink, findLink, Iff, type Link } from '../../../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { Descriptors, isNamespace, threadNamespace } from '../../../../kernel/thread-namespaces.ts';
import { isInterfaceName } from '../../../cni/names.ts';
import { failure } from '../../config.ts';
import { doing, openIn } from '../../netns.ts';
import type { PluginArgs } from '../../plugin.ts';
import type { UndoList } from '../../undo.ts';
import { findDevice, type HostDeviceConf } from './conf.ts';

/** The device in the container, up; undefined when a driver of user space has it. */
export function moveIn(args: PluginArgs, conf: HostDeviceConf, undo: UndoList): Link | undefined {
  if (conf.userspace) return undefined;
  using host = NetlinkSocket.open();
  using container = openIn(args.netns);
  const device = findDevice(host, conf);
  if (findLink(container, args.ifName) !== undefined) {
    throw failure(`failed to move link: ${JSON.stringify(args.ifName)} already exists in the container`);
  }
  move(host, device, { netns: args.netns, name: args.ifName, alias: device.name });
  undo.push(() => takeBack(args, (device.flags & Iff.UP) !== 0));
  const inside = findLink(container, args.ifName);
  if (inside === undefined) throw failure(`failed to find ${JSON.stringify(args.ifName)} in the container`);
  doing(`failed to set "${args.ifName}" up`, () => container.request(changeLink(inside.index, { up: true })));
  return inside;
}

/**
 * One request. The kernel refuses a device that cannot be moved before it sets it down, which it does itself, and gives it name and
 * alias afterwards: that the name can be given has to be known before.
 */
function move(
  from: NetlinkSocket,
  { index, name: present }: Link,
  to: { readonly netns: string; readonly name: string; readonly alias: string },
): void {
  using descriptors = new Descriptors();
  const netnsFd = descriptors.open(to.netns);
  const { name, alias } = to;
  doing(`failed to move "${present}"`, () => from.request(changeLink(index, { netnsFd, name, alias })));
}

/** DEL: the device goes back, under its old name and down. The namespace's end would destroy it if it is a virtual one. */
export function moveOut(args: PluginArgs): void {
  if (args.netns !== '' && isNamespace(args.netns)) takeBack(args, false);
}

function takeBack(args: PluginArgs, up: boolean): void {
  using container = openIn(args.netns);
  const link = findLink(container, args.ifName);
  // Gone already: an earlier DEL took it back, or a driver of user space has it.
  if (link === undefined) return;
  if (!isInterfaceName(link.alias)) {
    const why = link.alias === '' ? 'is not set' : `${JSON.stringify(link.alias)} is no interface name`;
    throw failure(`failed to find original ifname for "${args.ifName}" (alias ${why})`);
  }
  using host = NetlinkSocket.open();
  if (findLink(host, link.alias) !== undefined) {
    throw failure(`failed to move "${args.ifName}": "${link.alias}" already exists on the host`);
  }
  move(container, link, { netns: threadNamespace('net'), name: link.alias, alias: '' });
  if (!up) return;
  const device = findLink(host, link.alias);
  if (device !== undefined) host.request(changeLink(device.index, { up }));
}
