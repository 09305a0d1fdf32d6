import { deleteVeth } from '../../container-link.ts';
import { askIpam, inOrder } from '../../ipam.ts';
import { unmasquerade } from '../../ip-masq.ts';
import { isMasqueraded } from '../../main-conf.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { tryAll } from '../../undo.ts';

/** Every step is tried, whatever became of those before it; with the namespace gone only the link is left out. */
export function del(args: PluginArgs, context: PluginContext): void {
  tryAll(
    ...inOrder(
      args.config,
      () => deleteVeth(args, context),
      () => askIpam('DEL', args, context),
    ),
    () => {
      if (isMasqueraded(args.config)) unmasquerade(args);
    },
  );
}
