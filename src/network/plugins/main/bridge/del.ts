import { key } from '../../config.ts';
import { deleteVeth } from '../../container-link.ts';
import { askIpam, inOrder } from '../../ipam.ts';
import { unmasquerade } from '../../ip-masq.ts';
import { ipamTypeIfAny, isMasqueraded } from '../../main-conf.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { tryAll } from '../../undo.ts';
import { tearDownSpoofCheck } from './spoof-check.ts';

/**
 * Disconnects the container. Every step is tried, whatever became of those before it, so that an address is never lost to a link that
 * cannot be deleted; the first failure is reported in the end. Differs from the reference plugin, which stops there and also
 * leaves masquerade rules behind when the namespace is gone.
 */
export function del(args: PluginArgs, context: PluginContext): void {
  tryAll(
    ...inOrder(
      args.config,
      () => deleteVeth(args, context),
      () => askIpam('DEL', args, context),
    ),
    () => {
      if (key(args.config, 'macspoofchk') === true) tearDownSpoofCheck(args);
    },
    () => {
      if (ipamTypeIfAny(args.config) !== '' && isMasqueraded(args.config)) unmasquerade(args);
    },
  );
}
