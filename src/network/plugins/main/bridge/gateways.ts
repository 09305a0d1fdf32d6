import type { Result, ResultIp } from '../../../cni/types.ts';
import { formatAddress, networkOf, offset, parseCidr } from '../../address.ts';
import { failure } from '../../config.ts';
import type { BridgeConf } from './conf.ts';

/** The container's interface stands third in the result. */
const CONTAINER = 2;

export interface GatewayPlan {
  readonly ips: ResultIp[];
  readonly routes: Result['routes'];
  /** Addresses, with prefix lengths, that the bridge has to have; IPv4 first. */
  readonly onBridge: readonly string[];
}

/**
 * What isGateway and isDefaultGateway make of the IPAM plugin's result: the first address of the network is the gateway when IPAM
 * gives none; a default route through a gateway that is there already is kept.
 */
export function planGateways(
  ipam: Result,
  conf: Pick<BridgeConf, 'isGateway' | 'isDefaultGateway'>,
): GatewayPlan {
  const routes = [...ipam.routes];
  const onBridge: string[] = [];
  const defaults = new Set<string>();
  const ips = ipam.ips.map((ip): ResultIp => {
    const cidr = parseCidr(ip.address);
    if (cidr === undefined) {
      throw failure(`IPAM plugin returned an address that is none: ${JSON.stringify(ip.address)}`);
    }
    const gateway = ip.gateway ?? (conf.isGateway ? formatAddress(offset(networkOf(cidr), 1n)) : undefined);
    const everything = cidr.address.family === 4 ? '0.0.0.0/0' : '::/0';
    if (conf.isDefaultGateway && !defaults.has(everything)) {
      defaults.add(everything);
      if (gateway !== undefined && !routes.some(({ dst, gw }) => gw !== undefined && dst === everything)) {
        routes.push({ dst: everything, gw: gateway });
      }
    }
    if (conf.isGateway && gateway !== undefined) {
      onBridge.push(`${gateway}/${cidr.prefix}`);
    }
    return { ...ip, interface: CONTAINER, ...(gateway === undefined ? {} : { gateway }) };
  });
  return {
    ips,
    routes,
    onBridge: onBridge.toSorted((a, b) => Number(a.includes(':')) - Number(b.includes(':'))),
  };
}
