/**
 * A device between host and container. On its way it is given the other name in the request that moves it, so that no udev and no
 * NetworkManager sees it half done; its name on the host is kept as the alias, as the reference plugin keeps it.
 */
import { changeLink, findLink, Iff, type Link } from '../../../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { Descriptors, isNamespace, threadNamespace } from '../../../../kernel/thread-namespaces.ts';
import { isInterfaceName } from '../../../cni/names.ts';
import { hashWithPrefix } from '../../chain-names.ts';
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
  undo.push(() => takeBack(args, { up: (device.flags & Iff.UP) !== 0, alias: device.alias }));
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

/** What a device is to be on the host again. */
interface Home {
  readonly up: boolean;
  readonly alias: string;
}

/** DEL: the device goes back, under its old name and down. The namespace's end would destroy it if it is a virtual one. */
export function moveOut(args: PluginArgs): void {
  takeBack(args, { up: false, alias: '' });
}

/** By this name it waits on the host while another device has its own. No other attachment's device has it. */
function waitingName({ containerId, ifName }: PluginArgs): string {
  return hashWithPrefix(15, 'hdev', `${containerId}/${ifName}`);
}

/** Out of the container in any case, which may end now; a DEL that finds the device waiting gives it its name once that is free. */
function takeBack(args: PluginArgs, home: Home): void {
  using host = NetlinkSocket.open();
  const present = args.netns !== '' && isNamespace(args.netns) ? takeOut(args, host, home) : undefined;
  const waiting = findLink(host, waitingName(args));
  if (waiting !== undefined) giveName(host, args, waiting, home);
  const device = home.up && present !== undefined ? findLink(host, present) : undefined;
  if (device !== undefined) host.request(changeLink(device.index, { up: true }));
}

/**
 * Its name on the host; undefined when it is gone already: an earlier DEL took it back, or a driver of user space has it. What fails
 * half way, as by a name that somebody takes meanwhile, leaves it under the name that it waits by.
 */
function takeOut(args: PluginArgs, host: NetlinkSocket, home: Home): string | undefined {
  using container = openIn(args.netns);
  const waitingBy = waitingName(args);
  const link = findLink(container, args.ifName) ?? findLink(container, waitingBy);
  if (link === undefined) return undefined;
  const { index, alias: name } = link;
  if (!isInterfaceName(name)) {
    const why = name === '' ? 'is not set' : `${JSON.stringify(name)} is no interface name`;
    throw failure(`failed to find original ifname for "${args.ifName}" (alias ${why})`);
  }
  doing(`failed to rename "${link.name}"`, () =>
    container.requestAll([changeLink(index, { up: false }), changeLink(index, { name: waitingBy })]),
  );
  const isTaken = findLink(host, name) !== undefined;
  const there = isTaken ? { name: waitingBy, alias: name } : { name, alias: home.alias };
  move(container, link, { netns: threadNamespace('net'), ...there });
  return name;
}

function giveName(host: NetlinkSocket, { ifName }: PluginArgs, waiting: Link, home: Home): void {
  const { index, alias: name } = waiting;
  if (!isInterfaceName(name) || findLink(host, name) !== undefined) {
    throw failure(
      `failed to bring "${ifName}" back: "${name}" already exists on the host, where it waits as "${waiting.name}"`,
    );
  }
  const { alias } = home;
  doing(`failed to rename "${waiting.name}"`, () =>
    host.requestAll([
      changeLink(index, { up: false }),
      changeLink(index, { name }),
      changeLink(index, { alias }),
    ]),
  );
}
