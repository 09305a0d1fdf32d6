import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { ipamType, unknownKey } from './conf.ts';
import { del } from './del.ts';

/** Connects a container to a Linux bridge by a veth pair. */
export const bridge: Plugin = {
  type: 'bridge',
  unknownKey,
  add,
  del,
  check,
  gc: (args, context) => delegateToIpam('GC', args, context),
  status: (args, context) => delegateToIpam('STATUS', args, context),
};

/** Both verbs are about addresses only: what else a bridge plugin makes ends with the container. */
function delegateToIpam(verb: 'GC' | 'STATUS', args: PluginArgs, context: PluginContext): void {
  const ipam = ipamType(args.config);
  if (ipam !== '') context.delegate(ipam, verb, args);
}
