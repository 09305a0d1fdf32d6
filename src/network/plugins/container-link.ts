/** The container's interface, in what DEL and CHECK of all plugins that make one have in common. */
import { changeLink, deleteLink, findLink, type Link } from '../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { isNamespace } from '../../kernel/thread-namespaces.ts';
import type { Result, ResultInterface } from '../cni/types.ts';
import { failure } from './config.ts';
import { checkAddresses, checkRoutes } from './container-interface.ts';
import { doing, openIn } from './netns.ts';
import type { PluginArgs, PluginContext } from './plugin.ts';

/**
 * Deletes the container's interface. Success when it or its namespace is gone. Also when the namespace is about to end: that takes the
 * kernel up to some seconds, or as long as a process keeps it open, and what the interface has (an address, a VLAN, a parent) goes to
 * the next pod meanwhile.
 */
export function deleteContainerLink(args: PluginArgs): void {
  withContainerLink(args, (socket, { index, name }) =>
    doing(`failed to delete "${name}"`, () => socket.request(deleteLink(index))),
  );
}

/**
 * Deletes the veth pair by its container's end. One of a namespace that is about to end is only set down and goes with it, which takes some
 * 2 % of the time: it answers for its address no more. Success when it or its namespace is gone.
 */
export function deleteVeth(args: PluginArgs, { hints }: PluginContext): void {
  if (hints.namespaceEnds !== true) {
    deleteContainerLink(args);
    return;
  }
  withContainerLink(args, (socket, { index, name }) =>
    doing(`failed to set "${name}" down`, () => socket.request(changeLink(index, { up: false }))),
  );
}

function withContainerLink(
  { netns, ifName }: PluginArgs,
  run: (socket: NetlinkSocket, link: Link) => void,
): void {
  if (netns === '' || !isNamespace(netns)) return;
  using socket = openIn(netns);
  const link = doing(`failed to lookup "${ifName}"`, () => findLink(socket, ifName));
  if (link !== undefined) run(socket, link);
}

/** The previous result, which every CHECK needs. */
export function requirePrevious({ prevResult }: PluginArgs): Result {
  if (prevResult === undefined) {
    throw failure('Required prevResult missing');
  }
  return prevResult;
}

/** The interface of the result that is this container's. */
export function ownInterface({ netns, ifName }: PluginArgs, { interfaces }: Result): ResultInterface {
  const own = interfaces.find(({ name, sandbox }) => name === ifName && sandbox === netns);
  if (own === undefined) {
    throw failure(`Sandbox in prevResult  doesn't match configured netns: ${netns}`);
  }
  return own;
}

/** The link that the result speaks of; throws when there is none, or its hardware address is another one. */
export function expectedLink(socket: NetlinkSocket, { name, mac = '' }: ResultInterface): Link {
  const link = findLink(socket, name);
  if (link === undefined) {
    throw failure(`Interface name ${name} not found`);
  }
  if (mac !== '' && mac.toLowerCase() !== link.mac) {
    throw failure(`Interface ${name} Mac ${mac} doesn't match container Mac: ${link.mac}`);
  }
  return link;
}

/** CHECK: the container's interface is as the result says, with its addresses and routes. `look` compares what is its kind's own. */
export function checkContainerLink(args: PluginArgs, result: Result, look: (link: Link) => void): void {
  const own = ownInterface(args, result);
  using socket = openIn(args.netns);
  const link = expectedLink(socket, own);
  look(link);
  checkAddresses({ socket, index: link.index, name: link.name }, result.ips);
  checkRoutes(socket, result.routes);
}
