import { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import { formatCidr, parseAddress, parseCidr } from '../../address.ts';
import { deviceFacts } from '../../device-facts.ts';
import type { Describing, PluginFacts, PoolFacts } from '../../facts.ts';
import { decode } from './conf.ts';

/** The bridge and, with a VLAN, the interface that has the gateway's address in it. */
export function describe(config: JsonObject, { pools }: Describing): PluginFacts {
  const { bridge, isGateway, vlan } = decode({ config, args: '' });
  const gateways = isGateway ? [...new Set(pools.filter(isInUse).flatMap(gatewayOf))] : [];
  using host = NetlinkSocket.open();
  if (vlan.id === 0) return { devices: [deviceFacts(host, bridge, 'bridge', gateways)] };
  const holder = deviceFacts(host, `${bridge}.${vlan.id}`, 'parent', gateways);
  return { devices: [deviceFacts(host, bridge, 'bridge'), ...(holder.present ? [holder] : [])] };
}

/** A range's gateway comes to the bridge with the first container that has an address of it. */
function isInUse({ pods }: PoolFacts): boolean {
  return pods > 0;
}

function gatewayOf({ gateway, subnet }: PoolFacts): string[] {
  const [address, cidr] = [parseAddress(gateway), parseCidr(subnet)];
  if (address === undefined || cidr === undefined) return [];
  return [formatCidr({ address, prefix: cidr.prefix })];
}
