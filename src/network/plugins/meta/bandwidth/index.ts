/** bandwidth: how fast a container may receive and send. See README.md. */
import { deleteLink, findLink, type Link, listLinks, newLink } from '../../../../kernel/netlink/links.ts';
import { listRedirections, newRedirection } from '../../../../kernel/netlink/filters.ts';
import {
  deleteQdisc,
  listQdiscs,
  newQdisc,
  TC_H_INGRESS,
  TC_H_ROOT,
  tbfOptions,
  ticksPerMicrosecond,
  tokenBucketOf,
} from '../../../../kernel/netlink/qdiscs.ts';
import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { isJsonObject } from '../../../../lib/json.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import type { Result } from '../../../cni/types.ts';
import { validAttachments } from '../../attachments.ts';
import { hashWithPrefix } from '../../chain-names.ts';
import { failure, firstUnknownKey, key, stringAt } from '../../config.ts';
import { withNamespaceLock } from '../../namespace-lock.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { type UndoList, withUndo } from '../../undo.ts';
import { hostInterface } from '../../veth-peer.ts';
import { keys, type Limit, limitsOf } from './conf.ts';
import { tokenBucket } from './token-bucket.ts';

export const bandwidth: Plugin = {
  type: 'bandwidth',
  since: '0.3.0',
  keys,
  unknownKey: (config) => firstUnknownKey(config, keys),
  passesOn,
  add,
  del,
  check,
  gc,
};

const IFB_PREFIX = 'bwp';
const IFB_NAME_LENGTH = 15;
const IFB_NAME = /^bwp[0-9a-f]{12}$/;
const ROOT_HANDLE = 0x1_0000;
const INGRESS_HANDLE = 0xffff_0000;

/** Without limits there is nothing to do: most pods have none. */
function passesOn(config: JsonObject): boolean {
  try {
    const { ingress, egress } = limitsOf(config);
    return ingress === undefined && egress === undefined && isJsonObject(key(config, 'prevResult'));
  } catch {
    return false;
  }
}

function add(args: PluginArgs, context: PluginContext): Result {
  const { ingress, egress } = limitsOf(args.config);
  const { prevResult } = args;
  if (prevResult === undefined) throw failure('must be called as chained plugin');
  if (ingress === undefined && egress === undefined) return prevResult;
  requireNetns(args.netns);
  using host = NetlinkSocket.open();
  const port = portOf(host, args, prevResult);
  return withUndo(context, (undo) => {
    if (ingress !== undefined) limit(host, port, ingress, undo);
    if (egress === undefined) return prevResult;
    // A GC must not find the link before anything leads to it.
    const ifb = withNamespaceLock(() => limitSending(host, args, port, egress, undo));
    const interfaces = [...prevResult.interfaces, { name: ifb.name, mac: ifb.mac }];
    return { ...prevResult, interfaces };
  });
}

/** The host's end of the container's veth pair. */
function portOf(host: NetlinkSocket, { netns, ifName }: PluginArgs, previous: Result): Link {
  using container = openIn(netns);
  return hostInterface(host, findLink(container, ifName), ifName, previous);
}

/** What leaves by a link waits in a bucket. */
function limit(host: NetlinkSocket, link: Link, { rate, burst }: Limit, undo: UndoList): void {
  const options = tbfOptions(tokenBucket(rate, burst, ticksPerMicrosecond()));
  const qdisc = { index: link.index, kind: 'tbf', handle: ROOT_HANDLE, parent: TC_H_ROOT };
  doing('create qdisc', () => host.request(newQdisc({ ...qdisc, options })));
  undo.push(() => host.request(deleteQdisc(qdisc)));
}

/** The kernel limits only what leaves a link: what comes in from the container is made to leave an ifb link, and limited there. */
function limitSending(
  host: NetlinkSocket,
  args: PluginArgs,
  port: Link,
  egress: Limit,
  undo: UndoList,
): Link {
  const ifb = createIfb(host, ifbName(args.config, args.containerId), port.mtu, undo);
  const { index } = port;
  const qdisc = { index, kind: 'ingress', handle: INGRESS_HANDLE, parent: TC_H_INGRESS };
  doing('create ingress qdisc', () => host.request(newQdisc(qdisc)));
  undo.push(() => host.request(deleteQdisc(qdisc)));
  doing('add filter', () => host.request(newRedirection({ index, to: ifb.index, parent: INGRESS_HANDLE })));
  doing('create ifb qdisc', () => limit(host, ifb, egress, undo));
  return ifb;
}

function createIfb(host: NetlinkSocket, name: string, mtu: number, undo: UndoList): Link {
  doing('adding link', () => host.request(newLink({ name, kind: 'ifb', mtu, up: true })));
  const link = findLink(host, name);
  if (link === undefined) throw failure('get ifb device: Link not found');
  undo.push(() => host.request(deleteLink(link.index)));
  return link;
}

/** The link's name, as the reference plugin gives it. */
export function ifbName(config: JsonObject, containerId: string): string {
  return hashWithPrefix(IFB_NAME_LENGTH, IFB_PREFIX, `${stringAt(config, 'name') ?? ''}${containerId}`);
}

/** The bucket of the host's end goes with it. */
function del(args: PluginArgs): void {
  using host = NetlinkSocket.open();
  const ifb = findLink(host, ifbName(args.config, args.containerId));
  if (ifb !== undefined) doing(`failed to delete "${ifb.name}"`, () => host.request(deleteLink(ifb.index)));
}

function check(args: PluginArgs): void {
  const limits = limitsOf(args.config);
  const { prevResult: previous } = args;
  if (previous === undefined) throw failure('must be called as a chained plugin');
  requireNetns(args.netns);
  if (limits.ingress === undefined && limits.egress === undefined) return;
  using host = NetlinkSocket.open();
  const port = portOf(host, args, previous);
  if (limits.ingress !== undefined) checkBucket(host, port, limits.ingress);
  if (limits.egress !== undefined) checkSending(host, args, port, limits.egress);
}

function checkSending(host: NetlinkSocket, args: PluginArgs, port: Link, egress: Limit): void {
  const ifb = findLink(host, ifbName(args.config, args.containerId));
  if (ifb === undefined) throw failure('get ifb device: Link not found');
  checkBucket(host, ifb, egress);
  const targets = listRedirections(host, { index: port.index, parent: INGRESS_HANDLE });
  if (!targets.includes(ifb.index))
    throw failure(`what comes in by ${port.name} is not redirected to ${ifb.name}`);
}

function checkBucket(host: NetlinkSocket, link: Link, { rate, burst }: Limit): void {
  const wanted = tokenBucket(rate, burst, ticksPerMicrosecond());
  const found = listQdiscs(host, { index: link.index }).flatMap((qdisc) => tokenBucketOf(qdisc) ?? [])[0];
  if (found === undefined) throw failure('Failed to find qdisc');
  for (const [what, is] of [
    ['Rate', found.rate === wanted.rate],
    ['Limit', found.limit === wanted.limit],
    ['Buffer', found.buffer === wanted.buffer],
  ] as const) {
    if (!is) throw failure(`${what} doesn't match`);
  }
}

/**
 * Deletes ifb links that nothing leads to any more, since their container's link is gone, and that no valid attachment names. Which
 * network such a link was of cannot be told from it, and does not matter.
 */
function gc(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined) return;
  const kept = new Set(valid.map(({ containerId }) => ifbName(args.config, containerId)));
  withNamespaceLock(() => {
    using host = NetlinkSocket.open();
    const used = redirectedTo(host);
    for (const { index, name, kind } of listLinks(host)) {
      if (kind !== 'ifb' || !IFB_NAME.test(name) || kept.has(name) || used.has(index)) continue;
      const remain = { what: `link ${name}, which no link leads to`, containerId: '', ifName: '' };
      context.collect([remain], () => host.request(deleteLink(index)));
    }
  });
}

function redirectedTo(host: NetlinkSocket): Set<number> {
  const ingress = listQdiscs(host).filter(({ kind }) => kind === 'ingress');
  return new Set(ingress.flatMap(({ index, handle }) => listRedirections(host, { index, parent: handle })));
}
