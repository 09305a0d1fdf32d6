/** What is wrong with a network, in sentences that name what an operator would look at next. */
import type { AttachedPod, ShownNetwork } from './overview.ts';
import type { DeviceFacts, LinkFacts } from './plugins/facts.ts';

/** How many pods a sentence names. */
const NAMED_MOST = 3;

export function problemsOf(network: Omit<ShownNetwork, 'problems'>): string[] {
  const { devices, pods, pools, hostPorts } = network;
  return [
    ...configuration(network),
    ...devices.flatMap((device) => deviceProblems(device, pods)),
    ...hostEnds(devices, pods),
    ...pools.filter(({ free }) => free <= 0).map(({ subnet }) => `${subnet} has no free address`),
    ...hostPorts
      .filter(({ holder, targets }) => holder === 'pod' && targets.length === 0)
      .map(({ port, pod }) => `host port ${port} of ${pod} has no rule`),
    ...(network.debts === 0
      ? []
      : [`${counted(network.debts, 'DEL is', 'DELs are')} owed: see berth net debts`]),
    ...(network.orphans === 0
      ? []
      : [
          `${counted(network.orphans, 'attachment is', 'attachments are')} left of pods that are gone: berth net gc collects them`,
        ]),
  ];
}

/** Of host ports that a pod wants and no plugin maps. */
export function portProblems(pod: string, network: string, ports: readonly string[]): string[] {
  return ports.map((port) => `host port ${port} of ${pod} is mapped by no plugin of network ${network}`);
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function named(pods: readonly AttachedPod[]): string {
  const names = pods.slice(0, NAMED_MOST).map(({ pod }) => pod);
  const more = pods.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}

function configuration({ file, staleSince, pods }: Omit<ShownNetwork, 'problems'>): string[] {
  if (file === '') return [`it is configured no more, but pods are on it: ${named(pods)}`];
  return staleSince === undefined
    ? []
    : [`${file} is bad since ${staleSince}; its last good version is in use`];
}

/** A bridge is made with its first pod: that it is missing means something only when pods are on it. */
function deviceProblems(device: DeviceFacts, pods: readonly AttachedPod[]): string[] {
  const { name, role, present, up, state, missing } = device;
  if (!present) {
    if (role === 'parent') return [`${name} is missing`];
    return pods.length === 0 ? [] : [`${name} is missing, but pods are on it: ${named(pods)}`];
  }
  const noCarrier = role === 'parent' && (state === 'down' || state === 'lowerlayerdown');
  return [
    ...(up ? [] : [`${name} is down`]),
    ...(up && noCarrier ? [`${name} has no carrier`] : []),
    ...missing.map((address) => `${name} lacks ${address}, the gateway's address`),
  ];
}

function hostEnds(devices: readonly DeviceFacts[], pods: readonly AttachedPod[]): string[] {
  const bridge = devices.find(({ role, present }) => role === 'bridge' && present);
  return pods.flatMap(({ pod, hostInterface }) => {
    const problem = hostInterface === undefined ? undefined : hostEndProblem(hostInterface, bridge);
    return problem === undefined ? [] : [`${hostInterface?.name ?? ''} of ${pod} ${problem}`];
  });
}

function hostEndProblem(
  { present, up, master }: LinkFacts,
  bridge: DeviceFacts | undefined,
): string | undefined {
  if (!present) return 'is missing';
  if (!up) return 'is down';
  if (bridge !== undefined && master !== bridge.name) return `is no port of ${bridge.name}`;
  return undefined;
}
