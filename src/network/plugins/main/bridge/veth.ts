/** The veth pair between container and bridge. */
import { randomBytes } from 'node:crypto';
import { sleepSync } from '../../../../kernel/sleep.ts';
import { Descriptors } from '../../../../kernel/thread-namespaces.ts';
import {
  changeBridgePort,
  findLink,
  getLink,
  type Link,
  newLink,
  parseLink,
  vethData,
} from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { failure } from '../../config.ts';
import { doing, kernelFailure } from '../../netns.ts';
import type { PluginArgs } from '../../plugin.ts';
import type { BridgeConf } from './conf.ts';

const NAME_TRIES = 10;

/** How long a port may take to be up, and the pauses between looks, in milliseconds; the last one is repeated. */
const PORT_TIMEOUT_MS = 2550;
const PORT_PAUSES = [1, 2, 5, 10, 20, 50];

export interface VethPair {
  /** The host's end, a port of the bridge. */
  readonly host: Link;
  readonly container: { readonly index: number; readonly mac: string };
}

/**
 * Makes the pair in one request: the container's end in its namespace with its final name, the host's end up and on the bridge.
 */
export function createVeth(host: NetlinkSocket, bridge: Link, args: PluginArgs, conf: BridgeConf): VethPair {
  using descriptors = new Descriptors();
  const netnsFd = doing(`failed to open netns "${args.netns}"`, () => descriptors.open(args.netns));
  // Given rather than left to the kernel: udev and NetworkManager rewrite addresses that the kernel made up.
  const mac = conf.mac ?? randomMac();
  const mtu = conf.mtu > 0 ? conf.mtu : undefined;
  const data = vethData({ name: args.ifName, mtu, mac, netnsFd });
  for (let attempt = 1; ; attempt++) {
    const name = `veth${randomBytes(4).toString('hex')}`;
    const [made, got] = host.batch([
      newLink({ name, kind: 'veth', mtu, mac: randomMac(), master: bridge.index, up: true, data }),
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

export function configurePort(host: NetlinkSocket, port: Link, conf: BridgeConf): void {
  if (conf.hairpinMode || conf.portIsolation) {
    doing(`failed to setup hairpin mode or isolation for ${port.name}`, () =>
      host.request(changeBridgePort(port.index, { hairpin: conf.hairpinMode, isolated: conf.portIsolation })),
    );
  }
}

/** Waits until the host's end is operational; its facts then. The kernel takes the other end's coming up a moment later. */
export function waitForPort(host: NetlinkSocket, index: number): Link {
  const deadline = performance.now() + PORT_TIMEOUT_MS;
  for (let attempt = 0; ; attempt++) {
    const link = findLink(host, index);
    if (link === undefined) {
      throw failure('Link not found');
    }
    if (link.operState === 'up') {
      return link;
    }
    if (performance.now() > deadline) {
      throw failure(`bridge port in error state: ${link.operState}`);
    }
    sleepSync(PORT_PAUSES[Math.min(attempt, PORT_PAUSES.length - 1)] ?? 50);
  }
}

/** A random unicast hardware address of the locally administered kind. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes.writeUInt8((bytes.readUInt8(0) & 0xfe) | 0x02, 0);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
