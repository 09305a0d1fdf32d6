/**
 * The rules in iptables, in the chains of the reference plugin (table nat):
 *
 *   PREROUTING, OUTPUT ─▶ CNI-HOSTPORT-DNAT ─▶ CNI-DN-<hash> per container: mark what needs masquerading, then DNAT
 *   CNI-HOSTPORT-SETMARK    sets the mark
 *   POSTROUTING ─▶ CNI-HOSTPORT-MASQ    masquerades what has the mark; first, as rules of ipMasq end the walk
 *
 * All rules are written as iptables-save prints them, so that they can be found again word by word.
 */
import { hasRule, readTable, restoreTable, ruleLine, type SavedTable } from '../../../../kernel/iptables.ts';
import { mayHaveIptablesChain } from '../../../../kernel/nft-objects.ts';
import { bits, type Cidr, formatAddress, formatCidr, networkOf, parseAddress } from '../../address.ts';
import { chainName, iptablesComment } from '../../chain-names.ts';
import { failure } from '../../config.ts';
import { ownerOf, removalOf } from '../../masquerade.ts';
import type { Forwarding, PortmapBackend, StaleForwarding } from './backend.ts';
import { endpoint, type Mapping, mappingsOf, type PortmapConf } from './conf.ts';
import { type LiveMapping, refuseConflicts, staleOwners } from './conflicts.ts';

const DNAT = 'CNI-HOSTPORT-DNAT';
const SET_MARK = 'CNI-HOSTPORT-SETMARK';
const MASQ = 'CNI-HOSTPORT-MASQ';
/** The multiport match takes at most so many. */
const PORTS_PER_RULE = 15;

type Rule = readonly [chain: string, words: readonly string[]];

export const iptablesBackend: PortmapBackend = { forward, unforward, check, live, stale };

function forward({ conf, containerId, addresses }: Forwarding): void {
  for (const cidr of addresses) {
    const table = readTable(cidr.address.family, 'nat');
    const live = liveMappings(table);
    const self = { containerId, address: cidr.address };
    refuseConflicts(mappingsOf(conf, cidr.address.family), live, self);
    const own = chainName('DN-', conf.network, containerId);
    const stale = [own, ...staleChains(table, staleOwners(live, self))].flatMap((chain) =>
      removalOf(table, chain),
    );
    restoreTable(cidr.address.family, 'nat', [
      ...stale,
      ...sharedLines(conf, table),
      ...ownLines(conf, containerId, cidr),
    ]);
  }
}

/** Chains that all containers share: made when absent, their rules added when missing. */
function sharedLines(conf: PortmapConf, table: SavedTable): string[] {
  const toDnat = ['-m', 'addrtype', '--dst-type', 'LOCAL', '-j', DNAT];
  const entries: Rule[] = ['PREROUTING', 'OUTPUT'].map((chain): Rule => [chain, toDnat]);
  const masquerading = conf.snat && conf.externalSetMarkChain === undefined;
  const rules = masquerading ? [...markRules(conf.markMasqBit), ...entries] : entries;
  const toMasq = ['-m', 'comment', '--comment', 'CNI portfwd requiring masquerade', '-j', MASQ];
  const chains = masquerading ? [SET_MARK, MASQ, DNAT] : [DNAT];
  return [
    ...chains.filter((chain) => !table.chains.has(chain)).map((chain) => `:${chain} - [0:0]`),
    ...rules
      .filter(([chain, words]) => !hasRule(table, chain, words))
      .map(([chain, words]) => ruleLine('-A', chain, words)),
    ...(masquerading && !hasRule(table, 'POSTROUTING', toMasq)
      ? [ruleLine('-I', 'POSTROUTING', toMasq)]
      : []),
  ];
}

function markRules(bit: number): Rule[] {
  const hex = `0x${(1n << BigInt(bit)).toString(16)}`;
  const mark = `${hex}/${hex}`;
  const comment = ['-m', 'comment', '--comment', 'CNI portfwd masquerade mark'];
  return [
    [SET_MARK, [...comment, '-j', 'MARK', '--set-xmark', mark]],
    [MASQ, ['-m', 'mark', '--mark', mark, '-j', 'MASQUERADE']],
  ];
}

function ownLines(conf: PortmapConf, containerId: string, cidr: Cidr): string[] {
  const chain = chainName('DN-', conf.network, containerId);
  const rules = [
    ...containerRules(conf, cidr).map((words): Rule => [chain, words]),
    ...entryRules(conf, containerId, cidr),
  ];
  return [`:${chain} - [0:0]`, ...rules.map(([into, words]) => ruleLine('-A', into, words))];
}

/** Which packets come to the container's chain: by protocol and port, also of mappings of the other family. */
function entryRules(conf: PortmapConf, containerId: string, { address }: Cidr): Rule[] {
  const comment = iptablesComment(conf.network, containerId, 'dnat ');
  const chain = chainName('DN-', conf.network, containerId);
  const protocols = [...new Set(conf.mappings.map(({ protocol }) => protocol))].sort();
  return protocols.flatMap((protocol) => {
    const ports = conf.mappings
      .filter((mapping) => mapping.protocol === protocol)
      .map(({ hostPort }) => String(hostPort));
    return chunks(ports, PORTS_PER_RULE).map((some): Rule => {
      const match = [
        '-p',
        protocol,
        '-m',
        'comment',
        '--comment',
        comment,
        '-m',
        'multiport',
        '--dports',
        some.join(','),
      ];
      return [DNAT, [...match, ...conf.conditions[address.family], '-j', chain]];
    });
  });
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function containerRules(conf: PortmapConf, cidr: Cidr): string[][] {
  return mappingsOf(conf, cidr.address.family).flatMap((mapping) => mappingRules(conf, cidr, mapping));
}

/** Marks first: a packet that has been translated leaves the chain. */
function mappingRules(
  conf: PortmapConf,
  cidr: Cidr,
  { protocol, hostPort, containerPort, hostIp }: Mapping,
): string[][] {
  const { family } = cidr.address;
  const to = hostIp === undefined ? [] : ['-d', `${formatAddress(hostIp)}/${bits(family)}`];
  const match = [...to, '-p', protocol, '-m', protocol, '--dport', String(hostPort)];
  const jump = ['-j', conf.externalSetMarkChain ?? SET_MARK];
  const hairpin = conf.masqAll ? [] : ['-s', formatCidr({ address: networkOf(cidr), prefix: cidr.prefix })];
  return [
    ...(conf.snat ? [[...hairpin, ...match, ...jump]] : []),
    ...(conf.snat && family === 4 && !conf.masqAll ? [['-s', '127.0.0.1/32', ...match, ...jump]] : []),
    [...match, '-j', 'DNAT', '--to-destination', endpoint(cidr.address, containerPort)],
  ];
}

function live(): LiveMapping[] {
  return ([4, 6] as const).flatMap((family) =>
    mayHaveIptablesChain(family, 'nat', DNAT) ? liveMappings(readTable(family, 'nat')) : [],
  );
}

/** The mappings of all containers of all networks. */
function liveMappings(table: SavedTable): LiveMapping[] {
  const owners = chainOwners(table);
  return table.rules.flatMap(({ chain, words }) => {
    const target = parseEndpoint(valueOf(words, '--to-destination'));
    const owner = owners.get(chain);
    if (target === undefined || owner === undefined) return [];
    const hostIp = parseAddress(valueOf(words, '-d').split('/', 1)[0] ?? '');
    return [
      {
        containerId: owner,
        protocol: valueOf(words, '-p'),
        hostPort: Number(valueOf(words, '--dport')),
        hostIp,
        target,
      },
    ];
  });
}

/** The container of each chain that CNI-HOSTPORT-DNAT leads to, as the comment names it. */
function chainOwners(table: SavedTable): Map<string, string> {
  const entries = table.rules.filter(({ chain }) => chain === DNAT);
  return new Map(
    entries.flatMap(({ words }): [string, string][] => {
      const [, id] = /^dnat name: ".*" id: "(.*)"$/.exec(valueOf(words, '--comment')) ?? [];
      return id === undefined ? [] : [[valueOf(words, '-j'), id]];
    }),
  );
}

function staleChains(table: SavedTable, owners: readonly string[]): string[] {
  return [...chainOwners(table)].filter(([, owner]) => owners.includes(owner)).map(([chain]) => chain);
}

/** The word after an option; '' when the rule lacks it or negates it. */
function valueOf(words: readonly string[], option: string): string {
  const at = words.indexOf(option);
  return at < 0 || words[at - 1] === '!' ? '' : (words[at + 1] ?? '');
}

function parseEndpoint(text: string): ReturnType<typeof parseAddress> {
  return parseAddress(text.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
}

function unforward(network: string, containerId: string): void {
  for (const family of [4, 6] as const) {
    const chains = [chainName('DN-', network, containerId), chainName('SN-', network, containerId)];
    if (!chains.some((chain) => mayHaveIptablesChain(family, 'nat', chain))) continue;
    const table = readTable(family, 'nat');
    const lines = chains.flatMap((chain) => removalOf(table, chain));
    if (lines.length > 0) restoreTable(family, 'nat', lines);
  }
}

/** Rules name network and container. A chain that nothing leads to any more names neither: an ADD was broken off, or is under way. */
function stale(network: string, valid: ReadonlySet<string>): StaleForwarding {
  const tables = ([4, 6] as const)
    .filter((family) => mayHaveIptablesChain(family, 'nat', DNAT))
    .map((family) => readTable(family, 'nat'));
  const owners = tables.flatMap(({ rules }) =>
    rules.flatMap(({ chain, words }) => (chain === DNAT ? (ownerOf(words, network, 'dnat ') ?? []) : [])),
  );
  const loose = tables.flatMap((table) => [...table.chains].filter((chain) => isLoose(table, chain)));
  return {
    containers: [...new Set(owners)].filter((id) => !valid.has(id)),
    foreign: [...new Set(loose)].map((chain) => ({ what: `iptables chain ${chain}`, containerId: '' })),
  };
}

function isLoose({ rules }: SavedTable, chain: string): boolean {
  return /^CNI-[DS]N-/.test(chain) && !rules.some(({ words }) => valueOf(words, '-j') === chain);
}

function check({ conf, containerId, addresses }: Forwarding): void {
  const chain = chainName('DN-', conf.network, containerId);
  for (const cidr of addresses) {
    const what = `could not check ipv${cidr.address.family} dnat`;
    const table = readTable(cidr.address.family, 'nat');
    if (!table.chains.has(chain)) throw failure(`${what}: chain ${chain} not found in iptables table nat`);
    const missing = [
      ...containerRules(conf, cidr)
        .map((words): Rule => [chain, words])
        .filter(([into, words]) => !hasRule(table, into, words)),
      ...entryRules(conf, containerId, cidr).filter((rule) => !hasEntry(table, rule)),
    ];
    for (const [into, words] of missing) {
      throw failure(`${what}: rule ${words.join(' ')} in chain ${into} not found in table nat`);
    }
  }
}

/** Conditions are not compared: iptables-save may write them elsewhere in the rule than they were given. */
function hasEntry(table: SavedTable, [chain, words]: Rule): boolean {
  const isSame = (other: readonly string[]): boolean =>
    ['-p', '--dports', '-j'].every((option) => valueOf(other, option) === valueOf(words, option));
  return table.rules.some((rule) => rule.chain === chain && isSame(rule.words));
}
