/**
 * Source translation for an attachment's traffic that leaves its own network, as the reference bridge and ptp plugins set it up:
 * the same chains, tables and comments, so that either can take down the other's.
 */
import {
  isIptablesUsable,
  readTable,
  restoreTable,
  ruleLine,
  type SavedTable,
  sameWords,
  hasRule,
} from '../../kernel/iptables.ts';
import { mayHaveIptablesChain, ruleComments } from '../../kernel/nft-objects.ts';
import { isNftUsable, nftComment, nftTransaction } from '../../kernel/nft.ts';
import { bits, type Cidr, formatAddress, formatCidr, networkOf, parseCidr } from './address.ts';
import type { ValidAttachment } from './attachments.ts';
import { chainName, hashWithPrefix, iptablesComment } from './chain-names.ts';
import { badValue, failure } from './config.ts';

/** Whose rules they are: by this they are found. */
export interface MasqueradeOwner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

export interface Masquerade extends MasqueradeOwner {
  /** As configured; undefined means iptables, or nftables where iptables cannot be used. */
  readonly backend?: 'iptables' | 'nftables' | undefined;
  /** Addresses of the attachment with prefix length. */
  readonly ips: readonly string[];
}

/** Idempotent. Throws CniError or BerthError. */
export function setupMasquerade(masquerade: Masquerade): void {
  const ips = masquerade.ips.map(parse);
  const backend = masquerade.backend ?? (!isIptablesUsable(4) && isNftUsable() ? 'nftables' : 'iptables');
  switch (backend) {
    case 'iptables':
      for (const family of [4, 6] as const) {
        const own = ips.filter(({ address }) => address.family === family);
        if (own.length > 0) setupIptables(masquerade, family, own);
      }
      return;
    case 'nftables':
      setupNftables(masquerade, ips);
      return;
    default:
      throw failure(`unknown ipmasq backend "${String(backend)}"`);
  }
}

/** Takes down what either backend has, whatever is configured now. Nothing there is success, and starts no process. */
export function teardownMasquerade(owner: MasqueradeOwner): void {
  for (const family of [4, 6] as const) teardownIptables(owner, family);
  teardownNftables(owner);
}

function parse(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw badValue('address to masquerade', `invalid CIDR address: ${text}`);
  return cidr;
}

const MULTICAST = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const;

function subnetOf(cidr: Cidr): string {
  return formatCidr({ address: networkOf(cidr), prefix: cidr.prefix });
}

/** Rules as iptables-save writes them, so that those which are there already are found. */
function setupIptables({ network, containerId }: Masquerade, family: 4 | 6, ips: readonly Cidr[]): void {
  const chain = chainName('', network, containerId);
  const comment = ['-m', 'comment', '--comment', iptablesComment(network, containerId)];
  const wanted = ips.flatMap((cidr): (readonly [string, string[]])[] => [
    [chain, ['-d', subnetOf(cidr), ...comment, '-j', 'ACCEPT']],
    [chain, ['!', '-d', MULTICAST[family], ...comment, '-j', 'MASQUERADE']],
    ['POSTROUTING', ['-s', `${formatAddress(cidr.address)}/${bits(family)}`, ...comment, '-j', chain]],
  ]);
  const table = readTable(family, 'nat');
  const missing = wanted.filter(
    ([into, words], index) => !hasRule(table, into, words) && isFirst(wanted, index),
  );
  if (missing.length === 0) return;
  const declared = table.chains.has(chain) ? [] : [`:${chain} - [0:0]`];
  restoreTable(family, 'nat', [...declared, ...missing.map(([into, words]) => ruleLine('-A', into, words))]);
}

function isFirst(rules: readonly (readonly [string, readonly string[]])[], index: number): boolean {
  const [chain, words] = rules[index] ?? ['', []];
  return rules.findIndex(([other, otherWords]) => other === chain && sameWords(otherWords, words)) === index;
}

function teardownIptables({ network, containerId }: MasqueradeOwner, family: 4 | 6): void {
  const chain = chainName('', network, containerId);
  if (!mayHaveIptablesChain(family, 'nat', chain)) return;
  const lines = removalOf(readTable(family, 'nat'), chain);
  if (lines.length > 0) restoreTable(family, 'nat', lines);
}

/** Lines that remove a chain with all references to it; none when there is no such chain. */
export function removalOf(table: SavedTable, chain: string): string[] {
  if (!table.chains.has(chain)) return [];
  const references = table.rules.filter(({ words }) => words.at(-2) === '-j' && words.at(-1) === chain);
  const deletions = references.map((rule) => ruleLine('-D', rule.chain, rule.words));
  return [...deletions, `-F ${chain}`, `-X ${chain}`];
}

const TABLE = 'cni_plugins_masquerade';
const CHECKS = 'masq_checks';
const SNAT_PRIORITY = 100;

/** By this prefix of their comments the rules of one attachment are found; the first half is the network's. */
function instanceHash({ network, ifName, containerId }: MasqueradeOwner): string {
  return `${hashWithPrefix(16, '', network)}-${hashWithPrefix(16, '', `${ifName}:${containerId}`)}`;
}

function ownRules(owner: MasqueradeOwner): string[] {
  const prefix = instanceHash(owner);
  return ruleComments('inet', TABLE)
    .filter(({ chain, comment }) => chain === CHECKS && comment.startsWith(prefix))
    .map(({ handle }) => `delete rule inet ${TABLE} ${CHECKS} handle ${handle}`);
}

function setupNftables(masquerade: Masquerade, ips: readonly Cidr[]): void {
  const { network, ifName, containerId } = masquerade;
  const text = `${instanceHash(masquerade)}, net: ${network}, if: ${ifName}, id: ${containerId}`;
  nftTransaction([
    `add table inet ${TABLE} { comment "Masquerading for plugins from github.com/containernetworking/plugins" ; }`,
    `add chain inet ${TABLE} ${CHECKS} { comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet" ; }`,
    `add chain inet ${TABLE} postrouting { type nat hook postrouting priority ${SNAT_PRIORITY} ; }`,
    `flush chain inet ${TABLE} postrouting`,
    `add rule inet ${TABLE} postrouting ip daddr == ${MULTICAST[4]} return`,
    `add rule inet ${TABLE} postrouting ip6 daddr == ${MULTICAST[6]} return`,
    `add rule inet ${TABLE} postrouting goto ${CHECKS}`,
    ...ownRules(masquerade),
    ...ips.map((cidr) => {
      const ip = cidr.address.family === 4 ? 'ip' : 'ip6';
      const match = `${ip} saddr == ${formatAddress(cidr.address)} ${ip} daddr != ${subnetOf(cidr)}`;
      return `add rule inet ${TABLE} ${CHECKS} ${match} masquerade comment ${nftComment(text)}`;
    }),
  ]);
}

function teardownNftables(owner: MasqueradeOwner): void {
  const lines = ownRules(owner);
  if (lines.length > 0) nftTransaction(lines);
}

/** Rules that are nobody's any more. */
export interface StaleRules {
  /** Ids of the containers that they were of. */
  readonly containers: readonly string[];
  readonly remove: () => void;
}

/** What of a network's masquerading no valid attachment has any more, by backend and family. */
export function staleMasquerade(network: string, valid: readonly ValidAttachment[]): StaleRules[] {
  const containers = new Set(valid.map(({ containerId }) => containerId));
  return [
    ...([4, 6] as const).map((family) => staleIptables(family, network, containers)),
    staleNftables(network, valid),
  ];
}

function staleIptables(family: 4 | 6, network: string, valid: ReadonlySet<string>): StaleRules {
  if (!mayHaveIptablesChain(family, 'nat', 'POSTROUTING')) return { containers: [], remove: () => undefined };
  const table = readTable(family, 'nat');
  const stale = table.rules.flatMap(({ chain, words }) => {
    const id = chain === 'POSTROUTING' ? ownerOf(words, network) : undefined;
    return id === undefined || valid.has(id) ? [] : [{ id, chain: words.at(-1) ?? '' }];
  });
  const chains = stale
    .filter(({ id, chain }) => chain === chainName('', network, id))
    .map(({ chain }) => chain);
  const lines = [...new Set(chains)].flatMap((chain) => removalOf(table, chain));
  return {
    containers: [...new Set(stale.map(({ id }) => id))],
    remove: () => {
      if (lines.length > 0) restoreTable(family, 'nat', lines);
    },
  };
}

/** The container that a rule's comment names, when it is one of this network. */
export function ownerOf(words: readonly string[], network: string, before = ''): string | undefined {
  const comment = words[words.indexOf('--comment') + 1] ?? '';
  const start = `${before}name: "${network}" id: "`;
  return comment.startsWith(start) && comment.endsWith('"') ? comment.slice(start.length, -1) : undefined;
}

function staleNftables(network: string, valid: readonly ValidAttachment[]): StaleRules {
  const ours = `${hashWithPrefix(16, '', network)}-`;
  const kept = valid.map((each) => instanceHash({ network, ...each }));
  const stale = ruleComments('inet', TABLE).filter(
    ({ chain, comment }) =>
      chain === CHECKS && comment.startsWith(ours) && !kept.some((hash) => comment.startsWith(hash)),
  );
  const lines = stale.map(({ handle }) => `delete rule inet ${TABLE} ${CHECKS} handle ${handle}`);
  return {
    containers: [...new Set(stale.map(({ comment }) => / id: (.*)$/.exec(comment)?.[1] ?? comment))],
    remove: () => {
      if (lines.length > 0) nftTransaction(lines);
    },
  };
}
