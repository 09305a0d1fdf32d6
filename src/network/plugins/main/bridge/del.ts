import { messageOf } from '../../../../lib/errors.ts';
import { listAddresses } from '../../../../kernel/netlink/addresses.ts';
import { deleteLink, findLink } from '../../../../kernel/netlink/links.ts';
import { RT_SCOPE_UNIVERSE } from '../../../../kernel/netlink/routes.ts';
import { isNamespace } from '../../../../kernel/thread-namespaces.ts';
import { doing, openIn } from '../../netns.ts';
import type { PluginArgs, PluginContext } from '../../plugin.ts';
import { ipamType, ipMasqOf } from './conf.ts';
import { unmasquerade } from './masquerade.ts';

/**
 * Disconnects the container. Every step is tried, whatever became of those before it, so that an address is never lost to a link that
 * cannot be deleted; the first failure is reported in the end. Differs from the reference plugin, which stops there and also
 * leaves masquerade rules behind when the namespace is gone.
 */
export function del(args: PluginArgs, context: PluginContext): void {
  const failures: Error[] = [];
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(messageOf(error)));
    }
  };
  const ipam = ipamType(args.config);
  let onLink: string[] = [];
  attempt(() => {
    onLink = deleteInterface(args, context);
  });
  if (ipam !== '') {
    attempt(() => context.delegate(ipam, 'DEL', args));
    attempt(() => removeMasquerade(args, onLink));
  }
  const [first] = failures;
  if (first !== undefined) {
    throw first;
  }
}

/** Deletes the container's end, and so both; the global addresses that it had. A namespace about to end takes it along. */
function deleteInterface({ netns, ifName }: PluginArgs, { hints }: PluginContext): string[] {
  if (netns === '' || hints.namespaceEnds === true || !isNamespace(netns)) {
    return [];
  }
  using socket = openIn(netns);
  const link = doing(`failed to lookup "${ifName}"`, () => findLink(socket, ifName));
  if (link === undefined) {
    return [];
  }
  const addresses = doing(`failed to get IP addresses for "${ifName}"`, () =>
    listAddresses(socket, { index: link.index }),
  );
  doing(`failed to delete "${ifName}"`, () => socket.request(deleteLink(link.index)));
  return addresses.filter(({ scope }) => scope === RT_SCOPE_UNIVERSE).map(({ address }) => address);
}

function removeMasquerade(args: PluginArgs, onLink: readonly string[]): void {
  const how = ipMasqOf(args.config);
  if (how !== undefined) {
    const recorded = args.prevResult?.ips.map(({ address }) => address) ?? [];
    unmasquerade(args, how, [...onLink, ...recorded]);
  }
}
