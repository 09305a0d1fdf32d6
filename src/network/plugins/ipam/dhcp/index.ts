/** dhcp: addresses from a DHCP server of the pod's own network, kept by the daemon. See README.md. */
import type { Verb } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { ipamKeys, unknownKey } from './conf.ts';

const ask =
  (verb: Verb) =>
  (args: PluginArgs, context: PluginContext): void =>
    void context.askLeaseKeeper(verb, args);

export const dhcp: Plugin = {
  type: 'dhcp',
  keys: { ipam: ipamKeys },
  waits: () => true,
  unknownKey,
  add: (args, context) => {
    const { result } = context.askLeaseKeeper('ADD', args);
    if (result === undefined) throw failure('the keeper of DHCP leases gave no result');
    return result;
  },
  del: ask('DEL'),
  check: ask('CHECK'),
  gc,
  status: ask('STATUS'),
};

function gc(args: PluginArgs, context: PluginContext): void {
  const { stale = [] } = context.askLeaseKeeper('GC', args);
  const remains = stale.map(({ containerId, ifName, address }) => ({
    what: `DHCP lease ${address}`,
    containerId,
    ifName,
  }));
  // The keeper has given them back already, unless this is a dry run.
  context.collect(remains, () => undefined);
}
