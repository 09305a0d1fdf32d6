/**
 * The rules in iptables, in the chains of the reference plugin (table filter):
 *
 *   FORWARD ─▶ CNI-ISOLATION-STAGE-1 ─▶ CNI-ISOLATION-STAGE-2    only with an ingressPolicy: bridges kept apart
 *           ─▶ CNI-FORWARD ─▶ CNI-ADMIN, then two rules for each address: replies to it, and what it sends
 *
 * All are written as iptables-save prints them, so that they can be found again word by word.
 */
import { hasRule, readTable, restoreTable, ruleLine, type SavedTable } from '../../../../kernel/iptables.ts';
import { mayHaveIptablesChain } from '../../../../kernel/nft-objects.ts';
import type { Result } from '../../../cni/types.ts';
import { type Address, bits, formatAddress, parseCidr } from '../../address.ts';
import { failure } from '../../config.ts';
import { withNamespaceLock } from '../../namespace-lock.ts';
import type { FirewallConf } from './conf.ts';
import { type ChainRule, isolationLines } from './isolation.ts';

const TABLE = 'filter';
const OWN = 'CNI-FORWARD';

const toOwn: ChainRule = ['FORWARD', ['-m', 'comment', '--comment', 'CNI firewall plugin rules', '-j', OWN]];

function toAdmin(chain: string): ChainRule {
  return [OWN, ['-m', 'comment', '--comment', 'CNI firewall plugin admin overrides', '-j', chain]];
}

function rulesFor(address: Address): ChainRule[] {
  const host = `${formatAddress(address)}/${bits(address.family)}`;
  return [
    [OWN, ['-d', host, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT']],
    [OWN, ['-s', host, '-j', 'ACCEPT']],
  ];
}

/** The families that a result has addresses of, with those addresses. */
function families({ ips }: Result): (readonly [4 | 6, Address[]])[] {
  const addresses = ips.flatMap(({ address }) => parseCidr(address)?.address ?? []);
  return ([4, 6] as const)
    .map((family) => [family, addresses.filter((each) => each.family === family)] as const)
    .filter(([, own]) => own.length > 0);
}

/** Puts the rules of a container's addresses in place, in one transaction per family. */
export function allow(conf: FirewallConf, result: Result): void {
  const isolation = isolationOf(conf, result);
  withNamespaceLock(() => {
    for (const [family, addresses] of families(result)) {
      const table = readTable(family, TABLE);
      const lines = [
        ...sharedLines(conf, table),
        ...addresses
          .flatMap(rulesFor)
          .filter(([chain, words]) => !hasRule(table, chain, words))
          .map(([chain, words]) => ruleLine('-A', chain, words)),
        ...isolation(table),
      ];
      if (lines.length > 0) restoreTable(family, TABLE, lines);
    }
  });
}

/** Puts in place only what keeps bridges apart: for addresses that firewalld lets through. Costs nothing without an ingressPolicy. */
export function isolate(conf: FirewallConf, result: Result): void {
  if (conf.ingressPolicy === 'open') return;
  const isolation = isolationOf(conf, result);
  withNamespaceLock(() => {
    for (const [family] of families(result)) {
      const lines = isolation(readTable(family, TABLE));
      if (lines.length > 0) restoreTable(family, TABLE, lines);
    }
  });
}

/** The lines for a table. Throws for a result without a bridge, be there addresses in it or not. */
function isolationOf(conf: FirewallConf, result: Result): (table: SavedTable) => string[] {
  const { ingressPolicy } = conf;
  if (ingressPolicy === 'open') return () => [];
  const bridge = bridgeOf(conf, result);
  return (table) => isolationLines(ingressPolicy, bridge, table);
}

/** Chains that all containers share, and the ways to them; each way stands first in its chain. */
function sharedLines({ adminChain }: FirewallConf, table: SavedTable): string[] {
  const absent = [OWN, adminChain].filter((chain) => !table.chains.has(chain));
  const ways = [toOwn, toAdmin(adminChain)].filter(([chain, words]) => !hasRule(table, chain, words));
  return [
    ...absent.map((chain) => `:${chain} - [0:0]`),
    ...ways.map(([chain, words]) => ruleLine('-I', chain, words)),
  ];
}

/** The bridge that the chain's first plugin made. */
function bridgeOf({ ingressPolicy }: FirewallConf, { interfaces }: Result): string {
  const [first] = interfaces;
  if (first === undefined) {
    const advice = 'make sure to chain "firewall" plugin with "bridge"';
    throw failure(`interface needs to be set for ingress policy ${JSON.stringify(ingressPolicy)}, ${advice}`);
  }
  if (first.name === '') throw failure('got empty bridge name');
  return first.name;
}

/** Removes the rules of these addresses. None there is success, and starts no process. What bridges share stays. */
export function disallow(result: Result): void {
  for (const [family, addresses] of families(result)) {
    if (!mayHaveIptablesChain(family, TABLE, OWN)) continue;
    withNamespaceLock(() => {
      const table = readTable(family, TABLE);
      const present = addresses.flatMap(rulesFor).filter(([chain, words]) => hasRule(table, chain, words));
      if (present.length === 0) return;
      restoreTable(
        family,
        TABLE,
        present.map(([chain, words]) => ruleLine('-D', chain, words)),
      );
    });
  }
}

/** Throws CniError when a rule is missing. */
export function check(conf: FirewallConf, result: Result): void {
  for (const [family, addresses] of families(result)) {
    const table = readTable(family, TABLE);
    for (const [chain, words] of [toOwn, toAdmin(conf.adminChain)]) {
      if (!hasRule(table, chain, words)) {
        throw failure(`expected ${chain} rule [${words.join(' ')}] not found`);
      }
    }
    for (const [chain, words] of addresses.flatMap(rulesFor)) {
      if (!hasRule(table, chain, words)) throw failure(`expected rule [${words.join(' ')}] not found`);
    }
  }
}
