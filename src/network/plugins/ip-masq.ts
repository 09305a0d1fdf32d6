/** The key ipMasq, which bridge and ptp have. */
import { validAttachments } from './attachments.ts';
import { stringAt } from './config.ts';
import { type IpMasq, isMasqueraded } from './main-conf.ts';
import { type MasqueradeOwner, setupMasquerade, staleMasquerade, teardownMasquerade } from './masquerade.ts';
import type { PluginArgs, PluginContext } from './plugin.ts';

function ownerOf({ config, containerId, ifName }: PluginArgs): MasqueradeOwner {
  return { network: stringAt(config, 'name') ?? '', containerId, ifName };
}

/** Lets the container's addresses (with prefix lengths) leave their network as the host's. */
export function masquerade(args: PluginArgs, how: IpMasq, ips: readonly string[]): void {
  setupMasquerade({ ...ownerOf(args), backend: how.backend, ips: [...new Set(ips)] });
}

/** Takes that back: the rules say whose they are. */
export function unmasquerade(args: PluginArgs): void {
  teardownMasquerade(ownerOf(args));
}

/** GC: removes the rules of attachments that the runtime does not list, of this network only. */
export function collectUnmasqueraded(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined || !isMasqueraded(args.config)) return;
  for (const { containers, remove } of staleMasquerade(stringAt(args.config, 'name') ?? '', valid)) {
    const remains = containers.map((containerId) => ({ what: 'masquerading', containerId, ifName: '' }));
    context.collect(remains, remove);
  }
}
