/** The host's end of the veth pair as a port of the bridge. */
import { listPortVlans } from '../../../../kernel/netlink/bridge-vlans.ts';
import { changeBridgePort, findLink, type Link, listLinks } from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { sleepSync } from '../../../../kernel/sleep.ts';
import { failure } from '../../config.ts';
import { doing } from '../../netns.ts';
import type { BridgeConf } from './conf.ts';
import { setPortVlans } from './vlans.ts';

/** How long a port may take to be up, and the pauses between looks, in milliseconds; the last one is repeated. */
const PORT_TIMEOUT_MS = 2550;
const PORT_PAUSES = [1, 2, 5, 10, 20, 50];

export function configurePort(host: NetlinkSocket, port: Link, conf: BridgeConf): void {
  if (conf.hairpinMode || conf.portIsolation) {
    doing(`failed to setup hairpin mode or isolation for ${port.name}`, () =>
      host.request(changeBridgePort(port.index, { hairpin: conf.hairpinMode, isolated: conf.portIsolation })),
    );
  }
  setPortVlans(host, port, conf.vlan);
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

/** The ports of other containers, in a VLAN those of that VLAN, by the bridge or by what holds the gateway's address there. */
export function otherPorts(
  host: NetlinkSocket,
  { bridge, holder, port }: { readonly bridge: Link; readonly holder: Link; readonly port: Link },
  { vlan }: BridgeConf,
): Link[] {
  const others = listLinks(host, { master: bridge.index }).filter(({ index }) => index !== port.index);
  if (holder === bridge) return others;
  return others.filter(
    ({ index }) => index !== holder.peer && listPortVlans(host, index).some(({ id }) => id === vlan.id),
  );
}
