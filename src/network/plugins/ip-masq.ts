/** The key ipMasq, which bridge and ptp have. */
import { stringAt } from './config.ts';
import type { IpMasq } from './main-conf.ts';
import { type Masquerade, setupMasquerade, teardownMasquerade } from './masquerade.ts';
import type { PluginArgs } from './plugin.ts';

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
