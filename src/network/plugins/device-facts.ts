import { listAddresses } from '../../kernel/netlink/addresses.ts';
import { findLink, Iff, type Link } from '../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { DeviceFacts, LinkFacts } from './facts.ts';

/** Link-local addresses say nothing of a network. */
const SCOPE_GLOBAL = 0;

/** A link of the host that a network stands on. @param expected addresses, with prefix lengths, that it has to have. */
export function deviceFacts(
  host: NetlinkSocket,
  name: string,
  role: DeviceFacts['role'],
  expected: readonly string[] = [],
): DeviceFacts {
  const link = findLink(host, name);
  const all = link === undefined ? [] : listAddresses(host, { index: link.index });
  const addresses = all.filter(({ scope }) => scope === SCOPE_GLOBAL).map(({ address }) => address);
  const missing = link === undefined ? [] : expected.filter((each) => !all.some((a) => a.address === each));
  return { ...linkFacts(name, link), role, addresses, missing };
}

/** @param master name of the bridge that it is a port of. */
export function linkFacts(name: string, link: Link | undefined, master = ''): LinkFacts {
  return {
    name,
    present: link !== undefined,
    kind: link?.kind ?? '',
    up: ((link?.flags ?? 0) & Iff.UP) !== 0,
    state: link?.operState ?? 'notpresent',
    mtu: link?.mtu ?? 0,
    master,
  };
}
