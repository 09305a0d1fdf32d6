/** portmap: ports of the host that lead to ports of the container. See README.md. */
import { deleteUdpEntries } from '../../../../kernel/conntrack.ts';
import { isIptablesUsable } from '../../../../kernel/iptables.ts';
import { isNftUsable } from '../../../../kernel/nft.ts';
import { messageOf } from '../../../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../../../lib/json.ts';
import type { Result } from '../../../cni/types.ts';
import { formatAddress } from '../../address.ts';
import { validAttachments } from '../../attachments.ts';
import { failure, key, stringAt } from '../../config.ts';
import type { Describing, PluginFacts } from '../../facts.ts';
import { doing } from '../../netns.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import type { Forwarding, PortmapBackend } from './backend.ts';
import {
  type Backend,
  chooseBackend,
  containerAddresses,
  keys,
  type Mapping,
  parseConf,
  parseMappings,
  unknownKey,
} from './conf.ts';
import { portText, refuseWithheld } from './conflicts.ts';
import { iptablesBackend } from './iptables-backend.ts';
import { enableLocalnetRouting } from './localnet.ts';
import { withNamespaceLock } from '../../namespace-lock.ts';
import { nftablesBackend } from './nftables-backend.ts';

export const portmap: Plugin = { type: 'portmap', keys, unknownKey, passesOn, add, del, check, gc, describe };

/** Without mappings there is nothing to do: most pods have none. A configuration that ADD would refuse is not passed on. */
function passesOn(config: JsonObject): boolean {
  try {
    return parseConf(config).mappings.length === 0 && isJsonObject(key(config, 'prevResult'));
  } catch {
    return false;
  }
}

const backends: Readonly<Record<Backend, PortmapBackend>> = {
  iptables: iptablesBackend,
  nftables: nftablesBackend,
};

/** iptables where it can be used, else nftables; as the reference plugin decides. */
function detectBackend(): Backend {
  return !isIptablesUsable(4) && isNftUsable() ? 'nftables' : 'iptables';
}

function add(args: PluginArgs, context: PluginContext): Result {
  const { containerId, prevResult, ifName } = args;
  const conf = doing('failed to parse config', () => parseConf(args.config));
  if (prevResult === undefined) throw failure('must be called as chained plugin');
  if (conf.mappings.length === 0) return prevResult;
  refuseWithheld(conf.mappings, context.hints.withheld?.hostPorts ?? []);
  const backend = backends[chooseBackend(conf, detectBackend)];
  const forwarding = { conf, containerId, addresses: containerAddresses(prevResult, ifName) };
  withNamespaceLock(() => forwardOrNothing(backend, forwarding));
  flushUdp(() => conf.mappings, context);
  const local = forwarding.addresses.find(({ address }) => address.family === 4);
  if (conf.snat && local !== undefined) enableLocalnetRouting(formatAddress(local.address));
  return prevResult;
}

/** iptables takes one transaction per family: when the second is refused, the first is taken back. */
function forwardOrNothing(backend: PortmapBackend, forwarding: Forwarding): void {
  try {
    backend.forward(forwarding);
  } catch (error) {
    backend.unforward(forwarding.conf.network, forwarding.containerId);
    throw error;
  }
}

/**
 * Removes the container's rules from both backends, whatever is configured now: they are found by the chain's name and by
 * their comments, so neither the mappings nor the previous result are needed.
 */
function del(args: PluginArgs, context: PluginContext): void {
  const network = stringAt(args.config, 'name') ?? '';
  withNamespaceLock(() => {
    for (const backend of Object.values(backends)) backend.unforward(network, args.containerId);
  });
  flushUdp(() => parseMappings(args.config), context);
}

/** Known flows go on to where they went before: clients of a UDP port never reach the new container. Only worth a line. */
function flushUdp(mappings: () => readonly Mapping[], context: PluginContext): void {
  try {
    const udp = mappings().filter(({ protocol }) => protocol === 'udp');
    for (const family of [4, 6] as const) {
      const ports = udp
        .filter((mapping) => (mapping.family ?? family) === family)
        .map(({ hostPort }) => hostPort);
      if (ports.length > 0) deleteUdpEntries(family, ports);
    }
  } catch (error) {
    context.log(`failed to delete stale UDP conntrack entries: ${messageOf(error)}`);
  }
}

function check(args: PluginArgs): void {
  const { containerId, prevResult, ifName } = args;
  const conf = parseConf(args.config);
  if (prevResult === undefined) throw failure('Required prevResult missing');
  if (conf.mappings.length === 0) return;
  const backend = backends[chooseBackend(conf, detectBackend)];
  backend.check({ conf, containerId, addresses: containerAddresses(prevResult, ifName) });
}

/**
 * Removes the rules of this network's containers that the runtime does not list. Those in nftables name a container and no network,
 * and so may be another network's: they stay.
 */
function gc(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined) return;
  const kept = new Set(valid.map(({ containerId }) => containerId));
  const network = stringAt(args.config, 'name') ?? '';
  withNamespaceLock(() => {
    for (const backend of Object.values(backends)) {
      const { containers, foreign } = backend.stale(network, kept);
      for (const containerId of containers) {
        const remain = { what: 'host ports', containerId, ifName: '' };
        context.collect([remain], () => backend.unforward(network, containerId));
      }
      for (const each of foreign) context.leave({ ...each, ifName: '' });
    }
  });
}

/** The host ports in force, of both backends: which of the two is configured may have changed. */
function describe(_config: JsonObject, { holders }: Describing): PluginFacts {
  const live = Object.values(backends).flatMap((backend) => backend.live());
  return {
    hostPorts: live.map((mapping) => ({
      port: portText(mapping),
      containerId: mapping.containerId,
      target: formatAddress(mapping.target),
      holder: holders.kindOf(mapping.containerId),
    })),
  };
}
