/** What all plugins of a network tell of it together. */
import { listLinks } from '../../kernel/netlink/links.ts';
import { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { messageOf } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { inNetwork, parseAddress, parseCidr } from './address.ts';
import { key, stringAt } from './config.ts';
import { linkFacts } from './device-facts.ts';
import {
  type DeviceFacts,
  type HolderList,
  Holders,
  type HostPortFacts,
  type LinkFacts,
  type PluginFacts,
  type PoolFacts,
} from './facts.ts';
import type { Registry } from './registry.ts';

/** What a worker is asked. */
export interface DescribeJob {
  /** The plugins' configurations, name and version included, in the order of the chain. */
  readonly plugins: readonly JsonObject[];
  readonly holders: HolderList;
  /** Names of host interfaces to look at as well. */
  readonly links: readonly string[];
}

export interface NetworkFacts {
  readonly devices: readonly DeviceFacts[];
  readonly pools: readonly PoolFacts[];
  readonly hostPorts: readonly HostPortFacts[];
  /** Those that were asked for, in that order. */
  readonly links: readonly LinkFacts[];
  readonly problems: readonly string[];
}

/** Reads the kernel and the plugins' files; a plugin that cannot tell is a problem among the others, and no error. */
export function describeNetwork(registry: Registry, job: DescribeJob): NetworkFacts {
  const holders = new Holders(job.holders);
  const facts = job.plugins.map((config) => describePlugin(registry, config, holders));
  const pools = facts.flatMap((each) => each.pools ?? []);
  return {
    devices: facts.flatMap((each) => each.devices ?? []),
    pools,
    hostPorts: facts.flatMap((each) => each.hostPorts ?? []).filter((port) => belongs(port, pools)),
    links: hostLinks(job.links),
    problems: facts.flatMap((each) => each.problems ?? []),
  };
}

/** Also of a plugin that is no built-in its IPAM may be one. */
function describePlugin(registry: Registry, config: JsonObject, holders: Holders): PluginFacts {
  const type = stringAt(config, 'type') ?? '';
  try {
    const ipam = describeIpam(registry, config, holders);
    const pools = ipam.pools ?? [];
    const describe = (other: JsonObject): PluginFacts => describePlugin(registry, other, holders);
    const own = registry.get(type)?.describe?.(config, { holders, pools, describe }) ?? {};
    return {
      ...own,
      pools: [...pools, ...(own.pools ?? [])],
      problems: [...(ipam.problems ?? []), ...(own.problems ?? [])],
    };
  } catch (error) {
    return { problems: [`plugin ${type} cannot be looked at: ${messageOf(error)}`] };
  }
}

/** The key means the plugin that is delegated to; flannel's is none yet, and has no type of its own. */
function describeIpam(registry: Registry, config: JsonObject, holders: Holders): PluginFacts {
  const ipam = key(config, 'ipam');
  const type = isJsonObject(ipam) ? ipam['type'] : undefined;
  if (typeof type !== 'string' || stringAt(config, 'type') === 'flannel') return {};
  const describe = (): PluginFacts => ({});
  return registry.get(type)?.describe?.(config, { holders, pools: [], describe }) ?? {};
}

/** Rules in nftables name no network: those of strangers count where they lead into the network. */
function belongs({ holder, target }: HostPortFacts, pools: readonly PoolFacts[]): boolean {
  if (holder !== 'foreign') return true;
  const address = parseAddress(target);
  return pools.some(({ subnet }) => {
    const cidr = parseCidr(subnet);
    return address !== undefined && cidr !== undefined && inNetwork(address, cidr);
  });
}

function hostLinks(names: readonly string[]): LinkFacts[] {
  if (names.length === 0) return [];
  using host = NetlinkSocket.open();
  const links = listLinks(host);
  const byName = new Map(links.map((link) => [link.name, link]));
  const byIndex = new Map(links.map((link) => [link.index, link]));
  return names.map((name) => {
    const link = byName.get(name);
    return linkFacts(name, link, byIndex.get(link?.master ?? 0)?.name);
  });
}
