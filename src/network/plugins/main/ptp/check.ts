import { checkContainerLink, requirePrevious } from '../../container-link.ts';
import { askIpam } from '../../ipam.ts';
import { requireNetns } from '../../netns.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { requireKind } from '../../single-link.ts';

/** Compares the container's end with what ADD reported. */
export function check(args: PluginArgs, context: PluginContext): void {
  requireNetns(args.netns);
  askIpam('CHECK', args, context);
  checkContainerLink(args, requirePrevious(args), (link) => requireKind(link, 'veth'));
}
