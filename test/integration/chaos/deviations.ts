import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { argvOf, findProcesses } from '../../../src/containerd/embedded/process.ts';
import type { Container__Output } from '../../../src/gen/runtime/v1/Container.ts';
import { cgroupsBelow } from '../../helpers/cgroups.ts';
import { mountsBelow } from '../../helpers/mounts.ts';
import type { ContainerRig } from '../containers/rig.ts';

/** What the CRI says is there. */
interface Told {
  /** Of READY sandboxes, by id. */
  readonly ips: ReadonlyMap<string, string>;
  readonly sandboxes: readonly string[];
  readonly containers: readonly Container__Output[];
  /** Ids of what has a task: containers that run and pause processes. */
  readonly tasks: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Everything in which the machine is not as the CRI says, each as a line: what runs, is mounted, reserved or recorded without an owner,
 * or is missing. Looks from outside only. Pods have host-local's addresses, reserved below `ipamDir`.
 */
export async function deviations(rig: ContainerRig, ipamDir: string): Promise<string[]> {
  const told = await ask(rig);
  return [
    ...told.problems,
    ...(await networkDeviations(rig, told, ipamDir)),
    ...recordDeviations(rig, told),
    ...(await engineDeviations(rig, told)),
    ...processDeviations(rig, told),
  ];
}

async function ask(rig: ContainerRig): Promise<Told> {
  const { client } = rig.daemon;
  const { status, info } = await client.status(true);
  const conditions = status?.conditions ?? [];
  const problems = conditions
    .filter((condition) => ['RuntimeReady', 'NetworkReady'].includes(condition.type) && !condition.status)
    .map(({ type, message }) => `${type} is false: ${message}`);
  if (info['debts'] !== undefined && info['debts'] !== '[]') problems.push(`debts: ${info['debts']}`);
  const sandboxes = await client.list();
  const containers = await client.containers();
  const tasks = containers.filter(({ state }) => state === 'CONTAINER_RUNNING').map(({ id }) => id);
  const ips = new Map<string, string>();
  for (const { id } of sandboxes) {
    const answer = await client.podStatus(id, true);
    const { pid } = JSON.parse(answer.info['info'] ?? '') as { pid: number };
    if (pid !== 0) tasks.push(id);
    if (answer.status?.state === 'SANDBOX_READY') ips.set(id, answer.status.network?.ip ?? '');
  }
  for (const { id, state, podSandboxId } of containers) {
    if (state === 'CONTAINER_RUNNING' && !ips.has(podSandboxId))
      problems.push(`container ${id} runs in a sandbox that is not READY`);
  }
  return { ips, sandboxes: sandboxes.map(({ id }) => id), containers, tasks, problems };
}

async function networkDeviations(rig: ContainerRig, { ips }: Told, ipamDir: string): Promise<string[]> {
  const { node } = rig.base;
  const found: string[] = [];
  const pins = entries(join(rig.directory, 'netns'));
  for (const [id, ip] of ips) {
    const pin = pins.find((name) => name.endsWith(id.slice(0, 16)));
    const netns = join(rig.directory, 'netns', pin ?? 'none');
    const eth0 = await execa('nsenter', [`--net=${netns}`, 'ip', '-br', '-4', 'address', 'show', 'eth0'], {
      reject: false,
    });
    const addresses = eth0.stdout.split(/\s+/).slice(2).filter(Boolean);
    if (addresses.join() !== `${ip}/16`) found.push(`eth0 of ${id} has ${addresses.join()}, not ${ip}`);
    const [file, args] = node.command('ping', '-c1', '-W2', ip);
    if ((await execa(file, args, { reject: false })).exitCode !== 0)
      found.push(`${ip} of ${id} cannot be reached`);
  }
  const links = await node.run('ip', '-br', 'link', 'show', 'type', 'veth');
  const reservations = entries(ipamDir).flatMap((network) =>
    entries(join(ipamDir, network))
      .filter((name) => /^\d+\./.test(name))
      .map((ip) => `${ip} ${readFileSync(join(ipamDir, network, ip), 'utf8').split(/\s/)[0]}`),
  );
  const owned = [...ips.keys()];
  return [
    ...found,
    ...differ(
      'reservation',
      reservations,
      [...ips].map(([id, ip]) => `${ip} ${id}`),
    ),
    ...differ(
      'netns',
      pins.map((name) => name.slice(-16)),
      owned.map((id) => id.slice(0, 16)),
    ),
    ...differ(
      'cached result',
      entries(join(rig.directory, 'cni/results')).map((name) => name.replace(/^berth-(test|other)-/, '')),
      owned.map((id) => `${id}-eth0`),
    ),
    ...(lines(links).length === owned.length ? [] : [`${owned.length} pods have these links: ${links}`]),
  ];
}

function recordDeviations(rig: ContainerRig, { ips, sandboxes, containers }: Told): string[] {
  const root = (kind: string): string[] => entries(join(rig.directory, 'root', kind));
  return [
    ...differ(
      'record',
      root('sandboxes'),
      sandboxes.map((id) => `${id}.jsonl`),
    ),
    ...differ(
      'record',
      root('containers').filter((name) => !name.endsWith('.spec.json')),
      containers.map(({ id }) => `${id}.jsonl`),
    ),
    ...differ('debt', root('debts'), []),
    ...differ('directory', entries(join(rig.state, 'sandboxes')), [...ips.keys()]),
  ];
}

async function engineDeviations(rig: ContainerRig, { containers, tasks }: Told): Promise<string[]> {
  const list = async (...args: string[]): Promise<string[]> => lines(await rig.ctr(...args));
  const running = (await list('tasks', 'ls')).filter((line) => line.endsWith(' RUNNING'));
  // One that could not be made, nor unmade while containerd was away, has what it has until it is removed.
  const unknown = containers.filter(({ state }) => state === 'CONTAINER_UNKNOWN').map(({ id }) => id);
  const known = (id: string): boolean => !unknown.includes(id);
  const kept = [...containers.map(({ id }) => id), ...tasks].filter(known);
  const snapshots = (await list('snapshots', 'ls')).filter((line) => / (Active|View)/.test(line));
  return [
    ...differ('task', await list('tasks', 'ls', '--quiet'), tasks),
    ...differ('running task', running.map(firstWord), tasks),
    ...differ('container of containerd', (await list('containers', 'ls', '--quiet')).filter(known), kept),
    ...differ('snapshot', snapshots.map(firstWord).filter(known), kept),
    ...differ('lease', await list('leases', 'ls', '--quiet'), []),
    ...differ('bundle', entries(join(rig.engine.state, 'io.containerd.runtime.v2.task', 'k8s.io')), tasks),
  ];
}

function processDeviations(rig: ContainerRig, { ips, containers, tasks }: Told): string[] {
  const pods = new Set(
    tasks.map((id) => containers.find((container) => container.id === id)?.podSandboxId ?? id),
  );
  const owners = [...ips.keys(), ...containers.map(({ id }) => id), ...tasks];
  const mounts = mountsBelow(rig.directory).filter(
    (path) => /[0-9a-f]{16}/.test(path) && !owners.some((id) => path.includes(id.slice(0, 16))),
  );
  const groups = cgroupsBelow(rig.cgroup).filter((path) => /^[0-9a-f]{64}$/.test(basename(path)));
  // A container that was being started when Berth was killed keeps them for its next start.
  const created = containers.filter(({ state }) => state === 'CONTAINER_CREATED').map(({ id }) => id);
  const fifos = entries(join(rig.state, 'io')).filter((id) => !created.includes(id));
  const shims = rig.shims();
  const own = [rig.daemon.pid, rig.enginePid, ...shims];
  const processes = findProcesses((argv) => argv.some((word) => word.includes(rig.directory)))
    .filter(({ pid }) => !own.includes(pid))
    .map(({ pid }) => argvOf(pid).join(' '));
  return [
    ...differ('mount', mounts, []),
    ...differ(
      'cgroup',
      groups.filter((path) => !tasks.includes(basename(path))),
      [],
    ),
    ...differ(
      'FIFOs',
      fifos,
      tasks.filter((id) => isContainer(id, containers)),
    ),
    ...differ('process', processes, []),
    ...(shims.length === pods.size ? [] : [`${pods.size} pods that run have ${shims.length} shims`]),
  ];
}

function isContainer(id: string, containers: readonly Container__Output[]): boolean {
  return containers.some((container) => container.id === id);
}

/** What is there and nobody owns, and what should be there and is not. */
function differ(kind: string, there: readonly string[], owned: readonly string[]): string[] {
  return [
    ...there.filter((name) => !owned.includes(name)).map((name) => `${kind} ${name} is nobody's`),
    ...owned.filter((name) => !there.includes(name)).map((name) => `${kind} ${name} is missing`),
  ];
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function firstWord(line: string): string {
  return line.split(/\s/, 1)[0] ?? '';
}
