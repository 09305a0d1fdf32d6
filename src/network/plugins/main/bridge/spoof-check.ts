/**
 * Frames from a container with another hardware address than its own are dropped, by nftables rules of the bridge family in the
 * reference plugin's chains: `PREROUTING ─▶ cni-br-iface-<id>-<interface> ─▶ cni-br-iface-<id>-<interface>-mac`.
 */
import { chainsExist, ruleComments } from '../../../../kernel/nft-objects.ts';
import { nftComment, nftTransaction } from '../../../../kernel/nft.ts';
import type { PluginArgs } from '../../plugin.ts';

const TABLE = 'bridge nat';
const BASE = 'PREROUTING';
const PRIORITY = -300;

function chainsOf({ containerId, ifName }: PluginArgs): { iface: string; mac: string; comment: string } {
  const id = `${containerId}-${ifName}`;
  const iface = `cni-br-iface-${id}`;
  return { iface, mac: `${iface}-mac`, comment: `macspoofchk-${id}` };
}

/** `port` is the host's end, `mac` the container's address. Idempotent. */
export function setUpSpoofCheck(args: PluginArgs, port: string, hardwareAddress: string): void {
  const { iface, mac, comment } = chainsOf(args);
  const marked = `comment ${nftComment(comment)}`;
  nftTransaction([
    `add table ${TABLE}`,
    `add chain ${TABLE} ${BASE} { type filter hook prerouting priority ${PRIORITY} ; policy accept ; }`,
    `add chain ${TABLE} ${iface}`,
    `add chain ${TABLE} ${mac}`,
    ...entries(comment),
    `flush chain ${TABLE} ${iface}`,
    `flush chain ${TABLE} ${mac}`,
    `add rule ${TABLE} ${BASE} iifname == "${port}" jump ${iface} ${marked}`,
    `add rule ${TABLE} ${iface} jump ${mac} ${marked}`,
    `add rule ${TABLE} ${mac} ether saddr == ${hardwareAddress} return ${marked}`,
    `add rule ${TABLE} ${mac} drop ${marked}`,
  ]);
}

/** Lines that remove what leads to the attachment's chains. */
function entries(comment: string): string[] {
  return ruleComments('bridge', 'nat')
    .filter((rule) => rule.chain === BASE && `"${rule.comment}"` === nftComment(comment))
    .map(({ handle }) => `delete rule ${TABLE} ${BASE} handle ${handle}`);
}

/** Nothing there is success, and starts no process. The table and its base chain stay. */
export function tearDownSpoofCheck(args: PluginArgs): void {
  const { iface, mac, comment } = chainsOf(args);
  const names = [iface, mac];
  const exist = chainsExist(names.map((name) => ({ family: 'bridge', table: 'nat', name })));
  const present = names.filter((_, index) => exist[index] === true);
  const lines = [
    ...entries(comment),
    ...present.map((name) => `flush chain ${TABLE} ${name}`),
    ...present.map((name) => `delete chain ${TABLE} ${name}`),
  ];
  if (lines.length > 0) nftTransaction(lines);
}
