/** dummy: an interface that leads nowhere, to hold addresses. See README.md. */
import { type Link, newLink } from '../../../../kernel/netlink/links.ts';
import { doing, openIn } from '../../netns.ts';
import type { PluginArgs } from '../../plugin.ts';
import { madeLink, requireKind, singleLinkPlugin } from '../../single-link.ts';
import type { UndoList } from '../../undo.ts';

export const dummy = singleLinkPlugin<undefined>({
  type: 'dummy',
  keys: {},
  ipam: 'required',
  dns: 'ipam',
  sysctls: [],
  decode: () => undefined,
  create,
  look: (link) => requireKind(link, 'dummy'),
});

function create(args: PluginArgs, _conf: undefined, undo: UndoList): Link {
  using socket = openIn(args.netns);
  doing('failed to create dummy', () => socket.request(newLink({ name: args.ifName, kind: 'dummy' })));
  return madeLink(args, socket, undo);
}
