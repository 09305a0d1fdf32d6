/**
 * The rules in nftables, in tables `ip cni_hostport` and `ip6 cni_hostport` with the chains of the reference plugin. Each rule of
 * a container has the container's id as its comment.
 */
import { nftComment, type NftRule, nftRules, nftTransaction } from '../../../../kernel/nft.ts';
import { type ChainFamily, ruleComments } from '../../../../kernel/nft-objects.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../../lib/json.ts';
import { type Cidr, formatAddress, parseAddress } from '../../address.ts';
import { failure } from '../../config.ts';
import type { Forwarding, PortmapBackend, StaleForwarding } from './backend.ts';
import { endpoint, type Mapping, mappingsOf, type PortmapConf } from './conf.ts';
import { collide, type LiveMapping, refuseConflicts, staleOwners } from './conflicts.ts';

const TABLE = 'cni_hostport';
const HOST_PORTS = 'hostports';
/** Rules with a host address used to be here; the chain stays for those that old releases left. */
const HOST_IP_HOST_PORTS = 'hostip_hostports';
const ALL = 'hostports_all';
const MASQUERADING = 'masquerading';
const DNAT_PRIORITY = -100;
const SNAT_PRIORITY = 100;

export const nftablesBackend: PortmapBackend = { forward, unforward, check, live, stale };

function familyOf({ address }: Cidr): 'ip' | 'ip6' {
  return address.family === 4 ? 'ip' : 'ip6';
}

function forward({ conf, containerId, addresses }: Forwarding): void {
  const lines = addresses.flatMap((cidr) => {
    const family = familyOf(cidr);
    const rules = nftRules(family, TABLE) ?? [];
    const wanted = mappingsOf(conf, cidr.address.family);
    const live = rules.flatMap(liveMapping);
    const self = { containerId, address: cidr.address };
    refuseConflicts(wanted, live, self);
    const gone = staleOwners(live, self);
    const isStale = (rule: NftRule): boolean =>
      gone.includes(rule.comment) || (rule.comment === containerId && isReplaced(rule, wanted, cidr));
    const deletions = rules.filter(isStale).map((rule) => deletion(family, rule));
    return [...deletions, ...tableLines(conf, cidr), ...containerLines(conf, containerId, cidr)];
  });
  if (lines.length > 0) nftTransaction(lines);
}

/** Of the container's own rules an earlier try left those for this address or these ports; others are of another network. */
function isReplaced(rule: NftRule, wanted: readonly Mapping[], { address }: Cidr): boolean {
  const isOfAddress = JSON.stringify(rule.expr).includes(`"${formatAddress(address)}"`);
  return isOfAddress || liveMapping(rule).some((own) => wanted.some((mapping) => collide(mapping, own)));
}

function deletion(
  family: ChainFamily,
  rule: { readonly chain: string; readonly handle: number | bigint },
): string {
  return `delete rule ${family} ${TABLE} ${rule.chain} handle ${rule.handle}`;
}

/** The table with its chains; those that hold no rules of containers are filled anew. */
function tableLines(conf: PortmapConf, cidr: Cidr): string[] {
  const at = `${familyOf(cidr)} ${TABLE}`;
  const conditions = conf.conditions[cidr.address.family].map((condition) => `${condition} `).join('');
  const hooked = ['prerouting', 'output'].flatMap((chain) => [
    `add chain ${at} ${chain} { type nat hook ${chain} priority ${DNAT_PRIORITY} ; }`,
    `flush chain ${at} ${chain}`,
    `add rule ${at} ${chain} ${conditions}fib daddr type local jump ${ALL}`,
  ]);
  return [
    `add table ${at} { comment "CNI portmap plugin" ; }`,
    `add chain ${at} ${HOST_PORTS}`,
    `add chain ${at} ${HOST_IP_HOST_PORTS}`,
    `add chain ${at} ${ALL}`,
    `flush chain ${at} ${ALL}`,
    `add rule ${at} ${ALL} jump ${HOST_IP_HOST_PORTS}`,
    `add rule ${at} ${ALL} jump ${HOST_PORTS}`,
    ...hooked,
    ...(conf.snat
      ? [`add chain ${at} ${MASQUERADING} { type nat hook postrouting priority ${SNAT_PRIORITY} ; }`]
      : []),
  ];
}

function containerLines(conf: PortmapConf, containerId: string, cidr: Cidr): string[] {
  const comment = `comment ${nftComment(containerId)}`;
  const at = `${familyOf(cidr)} ${TABLE}`;
  return [
    ...mappingsOf(conf, cidr.address.family).map(
      (mapping) => `add rule ${at} ${HOST_PORTS} ${dnat(cidr, mapping)} ${comment}`,
    ),
    ...masquerades(conf, cidr).map(
      (match) => `add rule ${at} ${MASQUERADING} ${match} masquerade ${comment}`,
    ),
  ];
}

function dnat(cidr: Cidr, { protocol, hostIp, hostPort, containerPort }: Mapping): string {
  const to = hostIp === undefined ? '' : `${familyOf(cidr)} daddr ${formatAddress(hostIp)} `;
  return `${to}${protocol} dport ${hostPort} dnat to ${endpoint(cidr.address, containerPort)}`;
}

/**
 * Hairpin traffic and, on IPv4, what comes from localhost. With masqAll, which the reference plugin knows for iptables only,
 * whatever was translated on its way to the container takes the place of the first: CHECK counts rules, and so does the reference's.
 */
function masquerades(conf: PortmapConf, cidr: Cidr): string[] {
  if (!conf.snat) return [];
  const ip = familyOf(cidr);
  const own = formatAddress(cidr.address);
  const translated = conf.masqAll
    ? `ct status dnat ${ip} daddr ${own}`
    : `${ip} saddr ${own} ${ip} daddr ${own}`;
  return [translated, ...(ip === 'ip' ? [`ip saddr 127.0.0.1 ip daddr ${own}`] : [])];
}

/** Starts no process when no container has host ports. */
function live(): LiveMapping[] {
  return (['ip', 'ip6'] as const).flatMap((family) =>
    ruleComments(family, TABLE).some(({ comment }) => comment !== '')
      ? (nftRules(family, TABLE) ?? []).flatMap(liveMapping)
      : [],
  );
}

/** A mapping out of a rule, whichever release wrote it; none when the rule is no mapping. */
function liveMapping({ comment, expr }: NftRule): LiveMapping[] {
  const matches = expr.flatMap((item) =>
    isJsonObject(item) && isJsonObject(item['match']) ? [item['match']] : [],
  );
  const dport = matches.find((match) => payloadOf(match)['field'] === 'dport');
  const target = expr.flatMap((item) =>
    isJsonObject(item) && isJsonObject(item['dnat']) ? [textOf(item['dnat']['addr'])] : [],
  );
  const address = parseAddress(target[0] ?? '');
  if (dport === undefined || address === undefined) return [];
  const daddr = matches.find((match) => payloadOf(match)['field'] === 'daddr');
  return [
    {
      containerId: comment,
      protocol: textOf(payloadOf(dport)['protocol']),
      hostPort: Number(dport['right']),
      hostIp: parseAddress(textOf(daddr?.['right'])),
      target: address,
    },
  ];
}

function payloadOf(match: JsonObject): JsonObject {
  const left = match['left'];
  const payload = isJsonObject(left) ? left['payload'] : undefined;
  return isJsonObject(payload) ? payload : {};
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Rules carry no network: all of the container's go, as with the reference plugin. */
function unforward(_network: string, containerId: string): void {
  const lines = (['ip', 'ip6'] as const).flatMap((family) =>
    ruleComments(family, TABLE)
      .filter(({ comment }) => comment === containerId)
      .map((rule) => deletion(family, rule)),
  );
  if (lines.length > 0) nftTransaction(lines);
}

/** Rules name a container and no network. */
function stale(_network: string, valid: ReadonlySet<string>): StaleForwarding {
  const owners = (['ip', 'ip6'] as const).flatMap((family) =>
    ruleComments(family, TABLE).map(({ comment }) => comment),
  );
  const foreign = [...new Set(owners)].filter((id) => id !== '' && !valid.has(id));
  return {
    containers: [],
    foreign: foreign.map((containerId) => ({ what: 'host ports in nftables', containerId })),
  };
}

function check({ conf, containerId, addresses }: Forwarding): void {
  for (const cidr of addresses) {
    const own = ruleComments(familyOf(cidr), TABLE).filter(({ comment }) => comment === containerId);
    const wanted = [
      [HOST_PORTS, mappingsOf(conf, cidr.address.family).length],
      [MASQUERADING, masquerades(conf, cidr).length],
    ] as const;
    const missing = wanted.find(
      ([chain, count]) => own.filter((rule) => rule.chain === chain).length < count,
    );
    if (missing !== undefined) throw failure(`missing hostport rules in "${missing[0]}" chain`);
  }
}
