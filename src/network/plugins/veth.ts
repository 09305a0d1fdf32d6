/** The veth pair between container and host, as bridge and ptp make it. */
import { randomBytes } from 'node:crypto';
import { writeSysctl } from '../../kernel/sysctl.ts';
import { Descriptors } from '../../kernel/thread-namespaces.ts';
import { getLink, type Link, newLink, parseLink, vethData } from '../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { failure } from './config.ts';
import { doing, kernelFailure } from './netns.ts';
import type { PluginArgs } from './plugin.ts';

const NAME_TRIES = 10;

export interface VethPair {
  /** The host's end. */
  readonly host: Link;
  readonly container: { readonly index: number; readonly mac: string };
}

export interface VethSpec {
  /** Hardware address of the container's end; a random one when undefined. */
  readonly mac?: string | undefined;
  /** Of both ends; 0 for the kernel's own. */
  readonly mtu: number;
  /** Index of the bridge that the host's end becomes a port of. */
  readonly master?: number;
}

/**
 * Makes the pair in one request: the container's end in its namespace with its final name, the host's end up and on the bridge.
 */
export function createVeth(
  host: NetlinkSocket,
  args: Pick<PluginArgs, 'netns' | 'ifName'>,
  spec: VethSpec,
): VethPair {
  using descriptors = new Descriptors();
  const netnsFd = doing(`failed to open netns "${args.netns}"`, () => descriptors.open(args.netns));
  // Given rather than left to the kernel: udev and NetworkManager rewrite addresses that the kernel made up.
  const mac = spec.mac ?? randomMac();
  const mtu = spec.mtu > 0 ? spec.mtu : undefined;
  const data = vethData({ name: args.ifName, mtu, mac, netnsFd });
  for (let attempt = 1; ; attempt++) {
    const name = `veth${randomBytes(4).toString('hex')}`;
    const [made, got] = host.batch([
      newLink({ name, kind: 'veth', mtu, mac: randomMac(), master: spec.master, up: true, data }),
      getLink(name),
    ]);
    if (made?.ok === true && got?.ok === true && got.messages[0] !== undefined) {
      const link = parseLink(got.messages[0]);
      return { host: link, container: { index: link.peer, mac } };
    }
    const refused = [made, got].find((answer) => answer?.ok === false);
    const error = refused?.ok === false ? refused.error : new Error('Link not found');
    if (made?.ok !== false || made.error.code !== 'EEXIST') {
      throw kernelFailure('failed to make veth pair', error);
    }
    // Which of the two names is taken? Only for the random one it helps to try again.
    if (got?.ok !== true) {
      throw failure(`container veth name ("${args.ifName}") peer provided ("${name}") already exists`);
    }
    if (attempt === NAME_TRIES) {
      throw failure('failed to find a unique veth name');
    }
  }
}

/** A random unicast hardware address of the locally administered kind. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes.writeUInt8((bytes.readUInt8(0) & 0xfe) | 0x02, 0);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Routers on the network must not change an interface of ours. Without IPv6 there is nothing to do. */
export function ownRoutes(name: string): void {
  try {
    writeSysctl(`net/ipv6/conf/${name}/accept_ra`, '0');
  } catch {
    // The reference plugin does not look either.
  }
}
