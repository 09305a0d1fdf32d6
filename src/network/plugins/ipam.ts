/** What plugins that make interfaces ask of their IPAM plugin. */
import type { JsonObject } from '../../lib/json.ts';
import type { Result } from '../cni/types.ts';
import { failure } from './config.ts';
import { ipamType, ipamTypeIfAny } from './main-conf.ts';
import type { PluginArgs, PluginContext } from './plugin.ts';
import type { UndoList } from './undo.ts';

/** The addresses that IPAM gives; they are given back when a later step fails. Throws when it gives none. */
export function addAddresses(args: PluginArgs, context: PluginContext, type: string, undo: UndoList): Result {
  const result = context.delegate(type, 'ADD', args);
  undo.push(() => context.delegate(type, 'DEL', args));
  if (result === undefined || result.ips.length === 0) {
    throw failure('IPAM plugin returned missing IP config');
  }
  return result;
}

/**
 * In which order a DEL takes the interface down and gives the addresses back. These last, as a rule: nobody else shall be given an
 * address that is still in use. But dhcp, built in or not, says over the interface that a lease ends.
 */
export function inOrder(config: JsonObject, takeDown: () => void, giveBack: () => void): (() => void)[] {
  return ipamTypeIfAny(config) === 'dhcp' ? [giveBack, takeDown] : [takeDown, giveBack];
}

/** Hands a verb on to the network's IPAM plugin, if it has one. One that makes no sense was given no ADD, and is owed no DEL. */
export function askIpam(
  verb: 'DEL' | 'CHECK' | 'GC' | 'STATUS',
  args: PluginArgs,
  context: PluginContext,
): void {
  const ipam = verb === 'DEL' ? ipamTypeIfAny(args.config) : ipamType(args.config);
  if (ipam !== '') context.delegate(ipam, verb, args);
}
