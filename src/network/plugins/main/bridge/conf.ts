import type { JsonObject } from '../../../../lib/json.ts';
import type { ResultDns } from '../../../cni/types.ts';
import { booleanAt, failure, firstUnknownKey, integerAt, protocolKeys, stringAt } from '../../config.ts';
import {
  argsOfConfig,
  canonicalMac,
  type IpMasq,
  ipamType,
  ipMasqOf,
  macOfArgs,
  macOfRuntime,
  ownDns,
} from '../../main-conf.ts';
import type { PluginArgs } from '../../plugin.ts';
import { type VlanConf, vlanConf } from './vlans.ts';

/** What a bridge network's configuration says, with the reference plugin's defaults. */
export interface BridgeConf {
  /** Name of the bridge. */
  readonly bridge: string;
  /** The bridge holds the gateway's address of each of the container's networks. */
  readonly isGateway: boolean;
  /** The container's default route goes through it, too. */
  readonly isDefaultGateway: boolean;
  /** A different address on the bridge is replaced. */
  readonly forceAddress: boolean;
  /** undefined when addresses are not to be masqueraded. */
  readonly ipMasq: IpMasq | undefined;
  /** Of the bridge when it is made, and of the veth pair; 0 for the kernel's own. */
  readonly mtu: number;
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  readonly enableDad: boolean;
  readonly portIsolation: boolean;
  readonly vlan: VlanConf;
  /** Frames with another hardware address than the container's are dropped. */
  readonly macSpoofCheck: boolean;
  /** The container's end of the veth pair stays down. */
  readonly disableContainerInterface: boolean;
  /** Asked for by runtimeConfig, args or CNI_ARGS; lower case with colons. */
  readonly mac: string | undefined;
  /** Plugin type; '' for a network without addresses. */
  readonly ipam: string;
  /** The configuration's own, when it has any. */
  readonly dns: ResultDns | undefined;
}

const DEFAULT_BRIDGE = 'cni0';

export const keys = {
  ...protocolKeys,
  runtimeConfig: true,
  ipam: true,
  bridge: true,
  isGateway: true,
  isDefaultGateway: true,
  forceAddress: true,
  ipMasq: true,
  ipMasqBackend: true,
  mtu: true,
  hairpinMode: true,
  promiscMode: true,
  vlan: true,
  vlanTrunk: { minID: true, maxID: true, id: true },
  preserveDefaultVlan: true,
  macspoofchk: true,
  enabledad: true,
  disableContainerInterface: true,
  portIsolation: true,
} as const;

/** The first key that only the reference executable understands. */
export function unknownKey(config: JsonObject): string | undefined {
  return firstUnknownKey(config, keys);
}

/** Reads and checks the configuration. Throws a CniError, with the reference plugin's text where it has one. */
export function decode({ config, args }: Pick<PluginArgs, 'config' | 'args'>): BridgeConf {
  const flag = (name: string): boolean => booleanAt(config, name) ?? false;
  const isDefaultGateway = flag('isDefaultGateway');
  const conf: BridgeConf = {
    bridge: stringAt(config, 'bridge') ?? DEFAULT_BRIDGE,
    isGateway: flag('isGateway') || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag('forceAddress'),
    ipMasq: ipMasqOf(config),
    mtu: integerAt(config, 'mtu') ?? 0,
    hairpinMode: flag('hairpinMode'),
    promiscMode: flag('promiscMode'),
    enableDad: flag('enabledad'),
    portIsolation: flag('portIsolation'),
    vlan: vlanConf(config),
    macSpoofCheck: flag('macspoofchk'),
    disableContainerInterface: flag('disableContainerInterface'),
    mac: wantedMac(config, args),
    ipam: ipamType(config),
    dns: ownDns(config),
  };
  refuseContradictions(conf);
  return conf;
}

function refuseContradictions(conf: BridgeConf): void {
  if (conf.ipam !== '' && conf.disableContainerInterface) {
    throw failure('cannot use IPAM when DisableContainerInterface flag is set');
  }
  if (conf.hairpinMode && conf.promiscMode) {
    throw failure('cannot set hairpin mode and promiscuous mode at the same time');
  }
}

/** runtimeConfig.mac before args.cni.mac before MAC of CNI_ARGS. */
function wantedMac(config: JsonObject, args: string): string | undefined {
  const mac =
    macOfRuntime(config) || stringAt(argsOfConfig(config), 'mac', 'args.cni.mac') || macOfArgs(args);
  return mac === undefined ? undefined : canonicalMac(mac, 'failed to make veth pair');
}
