import { stringAt } from '../../config.ts';
import { setupMasquerade, teardownMasquerade } from '../../masquerade.ts';
import type { PluginArgs } from '../../plugin.ts';
import type { Masquerade } from './conf.ts';

type Spec = Parameters<typeof setupMasquerade>[0];

function specOf(args: PluginArgs, { backend }: Masquerade, ips: readonly string[]): Spec {
  const { containerId, ifName } = args;
  return { backend, network: stringAt(args.config, 'name') ?? '', containerId, ifName, ips: [...new Set(ips)] };
}

/** Lets the container's addresses (with prefix lengths) leave their network as the host's. */
export function masquerade(args: PluginArgs, how: Masquerade, ips: readonly string[]): void {
  setupMasquerade(specOf(args, how, ips));
}

/** Takes that back; without addresses too, as the rules say whose they are. */
export function unmasquerade(args: PluginArgs, how: Masquerade, ips: readonly string[]): void {
  teardownMasquerade(specOf(args, how, ips));
}
