import { deleteContainerLink } from '../../container-link.ts';
import { askIpam } from '../../ipam.ts';
import { unmasquerade } from '../../ip-masq.ts';
import { ipMasqOf } from '../../main-conf.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { tryAll } from '../../undo.ts';

/** Every step is tried, whatever became of those before it; with the namespace gone only the link is left out. */
export function del(args: PluginArgs, context: PluginContext): void {
  let onLink: string[] = [];
  tryAll(
    () => askIpam('DEL', args, context),
    () => {
      onLink = deleteContainerLink(args, context);
    },
    () => {
      const how = ipMasqOf(args.config);
      const recorded = args.prevResult?.ips.map(({ address }) => address) ?? [];
      if (how !== undefined) unmasquerade(args, how, [...onLink, ...recorded]);
    },
  );
}
