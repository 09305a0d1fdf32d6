/** What there is of each network on this node: its links, the pods on it, its addresses and host ports, and what is wrong. */
import type { ThreadPool } from '../kernel/threads/pool.ts';
import { messageOf } from '../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import { type AttachmentRecord, addressesOf, unmappedPorts } from './attachment.ts';
import { networkConfig } from './cni/plugin-config.ts';
import type { NetworkList, Result } from './cni/types.ts';
import type { Debts } from './debts.ts';
import type { Maintenance } from './maintenance.ts';
import type { NetworkInUse, Networks } from './networks.ts';
import { portProblems, problemsOf } from './overview-problems.ts';
import { formatAddress, parseAddress } from './plugins/address.ts';
import type { DescribeJob, NetworkFacts } from './plugins/describe.ts';
import type { DeviceFacts, HolderKind, HolderList, LinkFacts, PoolFacts } from './plugins/facts.ts';

/** One attachment of a sandbox that is not stopped. */
export interface LivingAttachment {
  readonly sandboxId: string;
  /** `namespace/name`. */
  readonly pod: string;
  readonly record: AttachmentRecord;
  /** undefined while it is being made. */
  readonly result: Result | undefined;
}

export interface AttachedPod {
  readonly pod: string;
  readonly sandboxId: string;
  readonly ifName: string;
  /** The host's end; absent for interfaces that have none. */
  readonly hostInterface?: LinkFacts;
  /** Without prefix lengths, in the order of the result. */
  readonly ips: readonly string[];
}

export interface ShownHostPort {
  /** `tcp/8080`, or `tcp/127.0.0.1/8080`. */
  readonly port: string;
  /** Addresses of the container that it leads to; none when no rule is there. */
  readonly targets: readonly string[];
  readonly holder: HolderKind;
  /** `namespace/name`; '' of a foreign container. */
  readonly pod: string;
  readonly containerId: string;
}

export interface ShownNetwork {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly string[];
  /** Its file and directory; '' when pods are on a network that is no longer configured. */
  readonly file: string;
  readonly dir: string;
  /** RFC 3339: the file is bad since then, and its last good version is in use. */
  readonly staleSince?: string;
  readonly devices: readonly DeviceFacts[];
  readonly pods: readonly AttachedPod[];
  readonly hostPorts: readonly ShownHostPort[];
  readonly pools: readonly PoolFacts[];
  readonly debts: number;
  /** Attachments that `berth net gc` would collect. */
  readonly orphans: number;
  /** Sentences; none when all is well. */
  readonly problems: readonly string[];
}

export interface OverviewOptions {
  /** It must load the jobs of the built-in plugins. */
  readonly pool: Pick<ThreadPool, 'call'>;
  readonly networks: Pick<Networks, 'inUse'>;
  readonly debts: Pick<Debts, 'list' | 'withheld'>;
  readonly maintenance: Pick<Maintenance, 'orphans'>;
  readonly living: () => readonly LivingAttachment[];
}

export class Overview {
  readonly #options: OverviewOptions;

  constructor(options: OverviewOptions) {
    this.#options = options;
  }

  /** Every network in use, then those that only pods are left of. Reads the kernel and the plugins' files; changes nothing. */
  async show(): Promise<ShownNetwork[]> {
    const { networks, maintenance, living } = this.#options;
    const attachments = living();
    const active = networks.inUse();
    const known = new Set(active.map(({ network }) => network.name));
    const left = attachments.map(({ record }) => record.network).filter(({ name }) => !known.has(name));
    const gone = [...new Map(left.map((network) => [network.name, network])).values()];
    const shown: ShownNetwork[] = [];
    for (const subject of [...active, ...gone.map((network) => ({ network, file: '', dir: '' }))]) {
      const orphans = await maintenance.orphans(subject.network.name).catch(() => 0);
      shown.push(await this.#showOne(subject, attachments, orphans));
    }
    return shown;
  }

  async #showOne(
    { network, file, dir, staleSince }: NetworkInUse,
    attachments: readonly LivingAttachment[],
    orphans: number,
  ): Promise<ShownNetwork> {
    const own = attachments.filter(({ record }) => record.network.name === network.name);
    const debts = this.#options.debts.list().filter((debt) => debt.attachment.network.name === network.name);
    const links = own.flatMap(({ result }) => hostInterfacesOf(result));
    const facts = await this.#describe(network, attachments, links);
    const pods = own.map(({ pod, sandboxId, record, result }): AttachedPod => {
      const hostInterface = hostEndOf(result, facts);
      const ips = addressesOf(result);
      const { ifName } = record;
      return { pod, sandboxId, ifName, ...(hostInterface === undefined ? {} : { hostInterface }), ips };
    });
    const seen = {
      name: network.name,
      cniVersion: network.cniVersion,
      plugins: network.plugins.map(({ type }) => type),
      file,
      dir,
      ...(staleSince === undefined ? {} : { staleSince }),
      devices: facts.devices,
      pods,
      hostPorts: this.#hostPorts(network, facts, attachments),
      pools: facts.pools,
      debts: debts.length,
      orphans,
    };
    const unmapped = own.filter(isFirst).flatMap(({ pod, sandboxId }) => {
      const all = attachments.filter((each) => each.sandboxId === sandboxId).map(({ record }) => record);
      return portProblems(pod, network.name, unmappedPorts(all));
    });
    return { ...seen, problems: [...problemsOf(seen), ...unmapped, ...facts.problems] };
  }

  /** On the network's own thread, which knows its reservations. */
  async #describe(
    network: NetworkList,
    attachments: readonly LivingAttachment[],
    links: readonly string[],
  ): Promise<NetworkFacts> {
    const job: DescribeJob = {
      plugins: network.plugins.map((plugin) => networkConfig(network, plugin)),
      holders: this.#holders(attachments),
      links: [...new Set(links)],
    };
    try {
      return (await this.#options.pool.call('describe', job, { affinity: network.name })) as NetworkFacts;
    } catch (error) {
      const problems = [`it cannot be looked at: ${messageOf(error)}`];
      return { devices: [], pools: [], hostPorts: [], links: [], problems };
    }
  }

  #holders(attachments: readonly LivingAttachment[]): HolderList {
    const { debts } = this.#options;
    return {
      pods: attachments.map(({ sandboxId, record }) => `${sandboxId} ${record.ifName}`),
      debts: debts.list().map(({ sandboxId, attachment }) => `${sandboxId} ${attachment.ifName}`),
      withheld: debts.withheld().addresses,
    };
  }

  /** What pods asked for, with where it leads; then what others have. */
  #hostPorts(
    network: NetworkList,
    { hostPorts: live }: NetworkFacts,
    attachments: readonly LivingAttachment[],
  ): ShownHostPort[] {
    const debts = this.#options.debts.list();
    const podOf = (containerId: string): string =>
      attachments.find(({ sandboxId }) => sandboxId === containerId)?.pod ??
      debts.find(({ sandboxId }) => sandboxId === containerId)?.pod ??
      '';
    const wanted = forwards(network)
      ? attachments
          .filter(({ record, result }) => record.network.name === network.name && result !== undefined)
          .flatMap(({ sandboxId, record }) =>
            portsOf(record).map((port) => ({ port, containerId: sandboxId })),
          )
      : [];
    const others = live.filter(({ holder }) => holder !== 'pod');
    const all = [...wanted.map((each) => ({ ...each, holder: 'pod' as const })), ...others];
    const merged = new Map(all.map((each) => [`${each.port} ${each.containerId}`, each]));
    return [...merged.values()].map(({ port, containerId, holder }) => {
      const rules = live.filter((rule) => rule.port === port && rule.containerId === containerId);
      const targets = [...new Set(rules.map(({ target }) => target))];
      return { port, targets, holder, pod: podOf(containerId), containerId };
    });
  }
}

/** The attachment with which is told what concerns all of a pod's. */
function isFirst({ record: { ifName } }: LivingAttachment): boolean {
  return ifName === 'eth0';
}

/** Whether the built-in or the reference portmap is in the chain: of other plugins nobody knows where they keep their rules. */
function forwards(network: NetworkList): boolean {
  return network.plugins.some(
    ({ type, capabilities }) =>
      type === 'portmap' && isJsonObject(capabilities) && capabilities['portMappings'] === true,
  );
}

/** Host ports in the form that portmap's rules give them. */
function portsOf({ capabilityArgs }: AttachmentRecord): string[] {
  const mappings = capabilityArgs['portMappings'];
  return (Array.isArray(mappings) ? mappings : []).filter(isJsonObject).map(portOf);
}

function portOf({ protocol, hostIP, hostPort }: JsonObject): string {
  const name = typeof protocol === 'string' && protocol !== '' ? protocol.toLowerCase() : 'tcp';
  const address = typeof hostIP === 'string' ? parseAddress(hostIP) : undefined;
  const isAny = address === undefined || address.value === 0n;
  return [name, ...(isAny ? [] : [formatAddress(address)]), Number(hostPort)].join('/');
}

/** Names of the host's interfaces that a result holds. */
function hostInterfacesOf(result: Result | undefined): string[] {
  const ofHost = (result?.interfaces ?? []).filter(({ sandbox }) => (sandbox ?? '') === '');
  return ofHost.map(({ name }) => name).filter((name) => name !== '');
}

/** The first of them that is no bridge: what later plugins add (bandwidth's ifb) stands behind it. */
function hostEndOf(result: Result | undefined, { devices, links }: NetworkFacts): LinkFacts | undefined {
  const shared = new Set(devices.map(({ name }) => name));
  const candidates = hostInterfacesOf(result).filter((name) => !shared.has(name));
  return candidates
    .flatMap((name) => links.find((link) => link.name === name) ?? [])
    .find(({ kind }) => kind !== 'bridge');
}
