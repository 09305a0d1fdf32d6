/** Each plugin's ADD and DEL, in the daemon's process against the executable of Debian 12. */
import { join } from 'node:path';
import { deleteLink, findLink } from '../../src/kernel/netlink/links.ts';
import { NetlinkSocket } from '../../src/kernel/netlink/socket.ts';
import { withNetns } from '../../src/kernel/thread-namespaces.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import type { Hints } from '../../src/network/cni/invoke/invoke.ts';
import { createContext } from '../../src/network/plugins/context.ts';
import { createRegistry } from '../../src/network/plugins/registry.ts';
import { runPlugin } from '../../src/network/plugins/skeleton.ts';
import { Cleanup } from '../helpers/cleanup.ts';
import { Scratch } from '../helpers/fixture.ts';
import { TestNode } from '../helpers/node.ts';
import { referencePlugins } from '../helpers/plugin-process.ts';
import type { Budget } from './budgets.ts';
import { runExecutable } from './executable.ts';
import { deletesIfb, deletesMacvlan, type KernelWait, movesLink } from './kernel-waits.ts';
import { Samples } from './measure.ts';
import { say, type Scale } from './section.ts';
import { columns, number } from './tables.ts';

const ROUNDS = 25;
const QUICK_ROUNDS = 10;
// A daemon that runs for weeks has its code compiled; one that just started has not.
const WARM_UP_ROUNDS = 40;
/** In-process at most this share of the executable's time, for plugins that run no iptables. */
const LIMIT = 1 / 4;
/** Where that cannot be, as the kernel alone takes longer: at most so much of the kernel's own time. */
const KERNEL_LIMIT = 1.5;

interface PluginBench {
  readonly plugin: JsonObject & { readonly type: string };
  /** Behind a bridge: its result is the previous one. */
  readonly chained?: boolean;
  readonly runsIptables?: boolean;
  /** Its DEL, or both verbs, wait for the kernel to move or delete a link: this alone is what no plugin can do better. */
  readonly kernel?: KernelWait;
}

function benches(dir: string): PluginBench[] {
  const ipam = { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/16' }]], dataDir: join(dir, 'ipam') };
  const addresses = [{ address: '10.99.0.5/16', gateway: '10.99.0.1' }];
  const limits = { ingressRate: 8e6, ingressBurst: 8e5, egressRate: 8e6, egressBurst: 8e5 };
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  return [
    { plugin: { type: 'loopback' } },
    { plugin: { type: 'bridge', bridge: 'br99', isGateway: true, ipam } },
    { plugin: { type: 'bridge', bridge: 'br99', isGateway: true, ipMasq: true, ipam }, runsIptables: true },
    { plugin: { type: 'ptp', ipam } },
    { plugin: { type: 'macvlan', master: 'up99', ipam }, kernel: deletesMacvlan('up99') },
    { plugin: { type: 'host-device', device: 'dev99', ipam }, kernel: movesLink('dev99') },
    { plugin: { type: 'host-local', ipam } },
    { plugin: { type: 'static', ipam: { type: 'static', addresses } } },
    { plugin: { type: 'bandwidth', ...limits }, chained: true, kernel: deletesIfb },
    { plugin: { type: 'tuning', mtu: 1400, promisc: true, dataDir: join(dir, 'tuning') }, chained: true },
    { plugin: { type: 'sbr', table: 200 }, chained: true },
    { plugin: { type: 'firewall', backend: 'iptables' }, chained: true, runsIptables: true },
    { plugin: { type: 'portmap', runtimeConfig: { portMappings } }, chained: true, runsIptables: true },
  ];
}

/** The daemon ends the namespace right after. */
const AS_IN_TEARDOWN: Hints = { namespaceEnds: true };

type Verb = 'ADD' | 'DEL';
type Run = (verb: Verb, config: JsonObject, hints?: Hints) => JsonObject | undefined;

function environment(verb: Verb, netns: string): Record<string, string> {
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'bench',
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: referencePlugins,
  };
}

/** As a worker thread of the daemon does it, on this thread; indexes live on from call to call. */
function inProcess(netns: string): Run {
  const registry = createRegistry();
  return (verb, config, hints = {}) => {
    const plugin = registry.get(config['type'] as string);
    if (plugin === undefined) throw new Error(`no built-in plugin of ${JSON.stringify(config)}`);
    const context = createContext(plugin.type, {
      registry,
      hints,
      runExecutable: ({ type }) => {
        throw new Error(`asked for the executable of ${type}`);
      },
      log: () => undefined,
      onRemain: () => undefined,
      onStep: () => undefined,
    });
    return runPlugin(plugin, environment(verb, netns), () => config, context);
  };
}

function executable(netns: string): Run {
  return (verb, config) => {
    const path = join(referencePlugins, config['type'] as string);
    const env = { PATH: process.env['PATH'] ?? '', ...environment(verb, netns) };
    const { exitCode, stdout } = runExecutable(path, [], { env, input: JSON.stringify(config) });
    if (exitCode !== 0) throw new Error(`${path} ${verb}: ${stdout}`);
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as JsonObject);
  };
}

function measure(
  run: Run,
  pod: string,
  { plugin, chained = false }: PluginBench,
  { ipam, rounds }: { readonly ipam: JsonObject; readonly rounds: number },
): Samples {
  let samples = new Samples();
  const base = { cniVersion: '1.0.0', name: 'bench' };
  const before = { ...base, type: 'ptp', ipam };
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    if (round === 0) samples = new Samples();
    const previous = chained ? run('ADD', before) : undefined;
    const config = { ...base, ...plugin, ...(previous === undefined ? {} : { prevResult: previous }) };
    const timed = (verb: Verb): void => {
      const start = performance.now();
      run(verb, config, AS_IN_TEARDOWN);
      samples.add(verb, performance.now() - start);
    };
    timed('ADD');
    timed('DEL');
    if (!chained) deleteLeft(pod);
    if (chained) run('DEL', before);
  }
  return samples;
}

/** What a teardown leaves to the namespace's end. */
function deleteLeft(netns: string): void {
  using pod = NetlinkSocket.openIn(netns);
  const left = findLink(pod, 'eth0');
  if (left !== undefined) pod.request(deleteLink(left.index));
}

function alone(kernel: KernelWait | undefined, netns: string, rounds: number): Samples {
  const samples = new Samples();
  for (let round = 0; round < rounds; round += 1) kernel?.(samples, netns);
  return samples;
}

const verbs: readonly Verb[] = ['ADD', 'DEL'];

/** Prints each plugin's times; a budget for each that runs no iptables. */
export async function measurePlugins({ quick }: Scale): Promise<Budget[]> {
  await using cleanup = new Cleanup();
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const rows: string[][] = [];
  const budgets: Budget[] = [];
  const { path: dir } = cleanup.use(await Scratch.create());
  const ipam = { type: 'host-local', ranges: [[{ subnet: '10.98.0.0/16' }]], dataDir: join(dir, 'before') };
  for (const bench of benches(dir)) {
    const [host, pod] = [cleanup.use(await TestNode.create()), cleanup.use(await TestNode.create())];
    await host.run('ip', 'link', 'add', 'up99', 'up', 'type', 'veth', 'peer', 'name', 'far99');
    await host.run('ip', 'link', 'add', 'dev99', 'type', 'ifb');
    const { ours, theirs, kernel } = withNetns(host.path, () => ({
      ours: measure(inProcess(pod.path), pod.path, bench, { ipam, rounds }),
      theirs: measure(executable(pod.path), pod.path, bench, { ipam, rounds }),
      kernel: alone(bench.kernel, pod.path, rounds),
    }));
    const name = `${bench.plugin.type}${bench.plugin['ipMasq'] === true ? ' with ipMasq' : ''}`;
    const ratios = verbs.map((verb) => ours.p50(verb) / theirs.p50(verb));
    const cells = verbs.flatMap((verb, index) =>
      [ours.p50(verb), theirs.p50(verb), ratios[index] ?? Number.NaN, kernel.p50(verb)].map(number),
    );
    rows.push([name, ...cells, bench.runsIptables === true ? 'runs iptables' : '']);
    for (const [index, verb] of verbs.entries()) {
      if (bench.runsIptables === true) continue;
      budgets.push(
        kernel.has(verb)
          ? {
              what: `${verb} of ${name}, against the kernel's part of it`,
              measured: ours.p50(verb) / kernel.p50(verb),
              limit: KERNEL_LIMIT,
              unit: '×',
            }
          : {
              what: `${verb} of ${name}, against its executable`,
              measured: ratios[index] ?? Number.NaN,
              limit: LIMIT,
              unit: '×',
            },
      );
    }
  }
  const head = ['p50 in ms', ...verbs.flatMap((verb) => [verb, 'executable', 'ratio', 'kernel']), ''];
  say(`${columns([head, ...rows])}\n`);
  say(
    'In-process DEL is that of a teardown, whose namespace ends right after: bridge and ptp set their pair down and leave it.',
  );
  say(
    'Not measured: dhcp and flannel, which wait for others or call bridge; vlan, ipvlan, vrf and dummy, which need another kernel.\n',
  );
  return budgets;
}
