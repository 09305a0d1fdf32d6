import { dhcp } from './ipam/dhcp/index.ts';
import { createHostLocal } from './ipam/host-local/index.ts';
import { staticIpam } from './ipam/static/index.ts';
import { bridge } from './main/bridge/index.ts';
import { dummy } from './main/dummy/index.ts';
import { hostDevice } from './main/host-device/index.ts';
import { ipvlan } from './main/ipvlan/index.ts';
import { loopback } from './main/loopback/index.ts';
import { macvlan } from './main/macvlan/index.ts';
import { ptp } from './main/ptp/index.ts';
import { tap } from './main/tap/index.ts';
import { vlan } from './main/vlan/index.ts';
import { bandwidth } from './meta/bandwidth/index.ts';
import { createFirewall } from './meta/firewall/index.ts';
import { flannel } from './meta/flannel/index.ts';
import { portmap } from './meta/portmap/index.ts';
import { sbr } from './meta/sbr/index.ts';
import { tuning } from './meta/tuning/index.ts';
import { vrf } from './meta/vrf/index.ts';
import type { Plugin } from './plugin.ts';

/** Built-in plugins by type. */
export type Registry = ReadonlyMap<string, Plugin>;

/** All built-in plugins. The indexes of host-local live as long as the registry: one per thread. */
export function createRegistry(): Registry {
  const main = [bridge, dummy, hostDevice, ipvlan, loopback, macvlan, ptp, tap, vlan];
  const ipam = [createHostLocal(), staticIpam, dhcp];
  const meta = [bandwidth, createFirewall(), flannel, portmap, sbr, tuning, vrf];
  return new Map([...main, ...ipam, ...meta].map((plugin) => [plugin.type, plugin]));
}
