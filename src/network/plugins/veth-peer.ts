import { findLink, type Link } from '../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { Result } from '../cni/types.ts';
import { failure } from './config.ts';

/** The host's end of a container's veth pair, which the plugin that made it must have told of. Throws CniError. */
export function hostInterface(
  host: NetlinkSocket,
  inside: Link | undefined,
  ifName: string,
  { interfaces }: Result,
): Link {
  if (interfaces.length === 0) throw failure('no interfaces provided');
  if (inside === undefined) {
    throw failure(`container interface ${ifName} has no veth peer: could not lookup "${ifName}"`);
  }
  if (inside.kind !== 'veth' || inside.peer <= 0) {
    throw failure(`container interface ${ifName} has no veth peer: it is no veth`);
  }
  const peer = findLink(host, inside.peer);
  if (peer === undefined) throw failure(`veth peer with index ${inside.peer} is not in host ns`);
  const isToldOf = interfaces.some(({ name, sandbox = '' }) => sandbox === '' && name === peer.name);
  if (!isToldOf) throw failure('no veth peer of container interface found in host ns');
  return peer;
}
