import { booleanAt } from '../../config.ts';
import { deleteContainerLink } from '../../container-link.ts';
import { askIpam, inOrder } from '../../ipam.ts';
import { unmasquerade } from '../../ip-masq.ts';
import { ipamType, ipMasqOf } from '../../main-conf.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { tryAll } from '../../undo.ts';
import { tearDownSpoofCheck } from './spoof-check.ts';

/**
 * Disconnects the container. Every step is tried, whatever became of those before it, so that an address is never lost to a link that
 * cannot be deleted; the first failure is reported in the end. Differs from the reference plugin, which stops there and also
 * leaves masquerade rules behind when the namespace is gone.
 */
export function del(args: PluginArgs, context: PluginContext): void {
  let onLink: string[] = [];
  tryAll(
    ...inOrder(
      args.config,
      () => {
        onLink = deleteContainerLink(args, context);
      },
      () => askIpam('DEL', args, context),
    ),
    () => {
      if (booleanAt(args.config, 'macspoofchk') === true) tearDownSpoofCheck(args);
    },
    () => {
      if (ipamType(args.config) !== '') removeMasquerade(args, onLink);
    },
  );
}

function removeMasquerade(args: PluginArgs, onLink: readonly string[]): void {
  const how = ipMasqOf(args.config);
  if (how !== undefined) {
    const recorded = args.prevResult?.ips.map(({ address }) => address) ?? [];
    unmasquerade(args, how, [...onLink, ...recorded]);
  }
}
