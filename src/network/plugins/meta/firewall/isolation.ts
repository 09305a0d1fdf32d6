import { hasRule, ruleLine, type SavedTable } from '../../../../kernel/iptables.ts';
import type { IngressPolicy } from './conf.ts';

export type ChainRule = readonly [chain: string, words: readonly string[]];

const STAGE_1 = 'CNI-ISOLATION-STAGE-1';
const STAGE_2 = 'CNI-ISOLATION-STAGE-2';

/**
 * Lines that keep a bridge apart: what comes from it and goes to another bridge of this kind is dropped (stage 1 finds the one,
 * stage 2 the other), and with `isolated` also what stays on it. They are the bridge's and stay with it: other containers use it.
 */
export function isolationLines(
  policy: Exclude<IngressPolicy, 'open'>,
  bridge: string,
  table: SavedTable,
): string[] {
  const shared = comment('same-bridge|isolated');
  const own = comment(policy);
  const inserted: ChainRule[] = [
    ['FORWARD', [...shared, '-j', STAGE_1]],
    [STAGE_1, ['-i', bridge, '!', '-o', bridge, ...own, '-j', STAGE_2]],
    ...(policy === 'isolated'
      ? [[STAGE_1, ['-i', bridge, '-o', bridge, ...own, '-j', 'DROP']] satisfies ChainRule]
      : []),
    [STAGE_2, ['-o', bridge, ...shared, '-j', 'DROP']],
  ];
  const appended: ChainRule[] = [STAGE_1, STAGE_2].map((chain) => [chain, [...shared, '-j', 'RETURN']]);
  const isMissing = ([chain, words]: ChainRule): boolean =>
    !hasRule(table, chain, words) && !hasRule(table, chain, asOlderReleases(words));
  return [
    ...[STAGE_1, STAGE_2].filter((chain) => !table.chains.has(chain)).map((chain) => `:${chain} - [0:0]`),
    ...inserted.filter(isMissing).map(([chain, words]) => ruleLine('-I', chain, words)),
    ...appended.filter(isMissing).map(([chain, words]) => ruleLine('-A', chain, words)),
  ];
}

function comment(policy: string): string[] {
  return ['-m', 'comment', '--comment', `CNI firewall plugin rules (ingressPolicy: ${policy})`];
}

/** Reference plugins before 1.2 named in the shared rules the one policy that they knew. */
function asOlderReleases(words: readonly string[]): string[] {
  return words.map((word) => word.replace('same-bridge|isolated', 'same-bridge'));
}
