import type { PluginConf } from '../../../src/network/cni/types.ts';

/** Plugins of one list, and a machine for them. `DIR` in a configuration is a directory of the machine's own. */
export interface ComplianceCase {
  /** The plugin that is looked at, and what is special about the case. */
  readonly name: string;
  readonly plugins: readonly PluginConf[];
  /** By default the newest that the reference executables know: 1.0.0 those of Debian 12, 1.1.0 later ones. */
  readonly cniVersion?: string;
  /** CNI_ARGS. */
  readonly args?: string;
  /** Shell lines that make the machine what the plugins need. */
  readonly prepare?: readonly string[];
  /** What only the later reference plugins know: where there are but those of Debian 12, our own forms are compared. */
  readonly isLater?: true;
  /** The reference's DEL fails on Debian 12: ours takes down what it made. */
  readonly needsOurDel?: true;
}

/** What the cases share. */
export const v4 = {
  type: 'host-local',
  ranges: [[{ subnet: '10.66.0.0/24' }]],
  routes: [{ dst: '0.0.0.0/0' }],
  dataDir: 'DIR/ipam',
};
export const dual = {
  type: 'host-local',
  ranges: [[{ subnet: '10.66.0.0/24' }], [{ subnet: 'fd66::/64' }]],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  dataDir: 'DIR/ipam',
};
export const fixed = {
  type: 'static',
  addresses: [{ address: '10.66.0.5/24', gateway: '10.66.0.1' }, { address: 'fd66::5/64' }],
  routes: [{ dst: '10.67.0.0/16', gw: '10.66.0.9' }],
};
export const bridge = { type: 'bridge', bridge: 'br66', isGateway: true, ipam: v4 };
/** A link of the host that leads somewhere. */
export const uplink = [
  'ip link add up66 type veth peer name far66',
  'ip link set up66 up',
  'ip link set far66 up',
];
