/** The key ipMasq, which bridge and ptp have. */
import { validAttachments } from './attachments.ts';
import { stringAt } from './config.ts';
import { type IpMasq, ipMasqOf } from './main-conf.ts';
import { type Masquerade, setupMasquerade, staleMasquerade, teardownMasquerade } from './masquerade.ts';
import type { PluginArgs, PluginContext } from './plugin.ts';

function specOf(args: PluginArgs, { backend }: IpMasq, ips: readonly string[]): Masquerade {
  const { containerId, ifName } = args;
  return {
    backend,
    network: stringAt(args.config, 'name') ?? '',
    containerId,
    ifName,
    ips: [...new Set(ips)],
  };
}

/** Lets the container's addresses (with prefix lengths) leave their network as the host's. */
export function masquerade(args: PluginArgs, how: IpMasq, ips: readonly string[]): void {
  setupMasquerade(specOf(args, how, ips));
}

/** Takes that back; without addresses too, as the rules say whose they are. */
export function unmasquerade(args: PluginArgs, how: IpMasq, ips: readonly string[]): void {
  teardownMasquerade(specOf(args, how, ips));
}

/** GC: removes the rules of attachments that the runtime does not list, of this network only. */
export function collectUnmasqueraded(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined || ipMasqOf(args.config) === undefined) return;
  for (const { containers, remove } of staleMasquerade(stringAt(args.config, 'name') ?? '', valid)) {
    const remains = containers.map((containerId) => ({ what: 'masquerading', containerId, ifName: '' }));
    context.collect(remains, remove);
  }
}
