import { join } from 'node:path';
import { BerthError, messageOf, wrap } from '../../lib/errors.ts';
import { newId } from '../../lib/id.ts';
import { Rollback } from '../../lib/rollback.ts';
import { nowNanos } from '../../lib/time.ts';
import { type AttachmentRecord, threadOf, unmappedPorts } from '../../network/attachment.ts';
import type { PodDeps } from '../deps.ts';
import { freeLevel, levelOf, podLabels } from '../../oci/selinux.ts';
import { userMappings } from '../../oci/user-namespace.ts';
import { sameSandbox, type SandboxPlan } from './plan.ts';
import { lineOf } from '../record-files.ts';
import type { SandboxRecord, SandboxState } from './record.ts';
import type { Finish, Preparation, Settlement } from './prepare-jobs.ts';
import { endPause, livesByPause, startPause } from './pause.ts';
import { removeSandbox } from './remove.ts';
import { Sandbox } from './sandbox.ts';
import { byTime } from './sysctls.ts';
import {
  conclude,
  detachNetwork,
  netnsPath,
  networkTarget,
  observe,
  releaseNamespaces,
  stateDirectory,
} from './teardown.ts';

/** How long the caller will wait, and what ends the work: Berth's stopping, never the caller's going away. */
export interface RunOptions {
  readonly remainingMs: number;
  readonly signal: AbortSignal;
}

/**
 * Creates and starts a sandbox, and returns its id (CRI RunPodSandbox). A retry joins the creation under way, or is given the
 * READY sandbox of an equal configuration; any other sandbox of that name is torn down first. Whatever fails is undone before
 * the error is reported.
 */
export async function runSandbox(deps: PodDeps, plan: SandboxPlan, options: RunOptions): Promise<string> {
  return deps.creations.join(plan, async () => {
    const old = deps.store.byName(plan.reservedName);
    if (old !== undefined) {
      const asked = { config: old.record.config, runtimeHandler: old.record.runtimeHandler };
      if (old.state.phase === 'ready' && sameSandbox(asked, plan)) return old.id;
      await removeSandbox(deps, old.id, options.remainingMs);
    }
    return create(deps, plan, options);
  });
}

async function create(deps: PodDeps, plan: SandboxPlan, options: RunOptions): Promise<string> {
  const sandbox = new Sandbox(newRecord(deps, plan), deps.files);
  const rollback = new Rollback();
  warnOfPorts(deps, sandbox);
  deps.store.creating.add(sandbox);
  try {
    rollback.add('namespaces', () => releaseNamespaces(deps, sandbox));
    const prepared = prepare(deps, sandbox, plan);
    // Without its namespaces no ADD has begun, and no DEL is owed.
    rollback.add('network', () => prepared.then(() => detachNetwork(deps, sandbox), noop));
    const [, network] = await allDone([
      prepared,
      attach(deps, sandbox, { ...options, ready: prepared, rollback }),
      settle(deps, sandbox, prepared),
    ]);
    await finish(deps, sandbox, plan);
    if (livesByPause(deps, sandbox.record)) {
      // After the network: a machine takes its links over as it starts.
      rollback.add('pause process', () => endPause(deps, sandbox));
      await startPause(deps, sandbox, options.signal);
    }
    await allDone([network.cached, sandbox.update({ phase: 'ready', ...network.facts, process: undefined })]);
  } catch (error) {
    throw await undo(deps, sandbox, rollback, error);
  } finally {
    deps.store.creating.delete(sandbox);
  }
  deps.store.add(sandbox);
  deps.events.publish('CONTAINER_CREATED_EVENT', sandbox);
  deps.events.publish('CONTAINER_STARTED_EVENT', sandbox);
  return sandbox.id;
}

/** As with containerd a pod whose host ports nobody maps runs all the same. */
function warnOfPorts({ log }: PodDeps, { id, pod, record: { attachments } }: Sandbox): void {
  const hostPorts = unmappedPorts(attachments);
  if (hostPorts.length === 0) return;
  const networks = attachments.map(({ network }) => network.name);
  log.warn('no plugin maps the host ports of a pod', { sandbox: id, pod, hostPorts, networks });
}

/** Attaches the networks; a pod on the node's network has none. */
async function attach(
  deps: PodDeps,
  sandbox: Sandbox,
  { rollback, ...options }: RunOptions & { readonly ready: Promise<unknown>; readonly rollback: Rollback },
): Promise<{ facts: Partial<SandboxState>; cached: Promise<unknown> }> {
  if (sandbox.record.attachments.length === 0) return { facts: {}, cached: Promise.resolve() };
  const { cached, ...facts } = await deps.network.attach(
    networkTarget(sandbox),
    observe(sandbox, deps),
    options,
  );
  // The DEL drops what is written here, and must not come before it.
  rollback.add('results', () => cached.then(noop, noop));
  return { facts, cached };
}

function noop(): void {
  // How it has ended does not matter.
}

/** The first steps, on the thread that the network is then attached on: the one follows the other without the main thread between. */
function prepare(deps: PodDeps, sandbox: Sandbox, plan: SandboxPlan): Promise<unknown> {
  const affinity = threadOf(sandbox.record.attachments);
  return deps.threads.call(
    'sandbox.prepare',
    preparation(deps, sandbox, plan),
    affinity === undefined ? {} : { affinity },
  );
}

/** What need not be there before the network is attached. */
async function settle(deps: PodDeps, { record }: Sandbox, prepared: Promise<unknown>): Promise<void> {
  await prepared;
  const settlement: Settlement = {
    id: record.id,
    intentPath: deps.files.path(record.id),
    stateDirectory: stateDirectory(deps, record.id),
    hostname: record.hostname,
    dns: record.config.dnsConfig,
  };
  await deps.threads.call('sandbox.settle', settlement);
}

/** What the pod wants of its interfaces. As with containerd it has the last word, after the plugins. */
async function finish(deps: PodDeps, { record }: Sandbox, plan: SandboxPlan): Promise<void> {
  const sysctls = byTime(plan.sysctls).attached;
  if (Object.keys(sysctls).length === 0) return;
  const job: Finish = { netns: record.namespaces.network ?? '', sysctls };
  await deps.threads.call('sandbox.finish', job);
}

/** Waits for all, also when one fails, since the undoing must meet none on its way; then throws the failure of the first that failed. */
async function allDone<T extends readonly Promise<unknown>[] | []>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** Undoes what was done. When that fails too the sandbox is kept, as UNKNOWN, so that kubelet's Stop and Remove can finish it. */
async function undo(
  deps: PodDeps,
  sandbox: Sandbox,
  rollback: Rollback,
  cause: unknown,
): Promise<BerthError> {
  const failures = await rollback.run();
  deps.store.keepFailed(sandbox, messageOf(cause));
  const error = wrap(`failed to run sandbox "${sandbox.pod}"`, cause);
  if (failures.length === 0) {
    // Not before: what is left needs its record.
    rollback.add('record', () => sandbox.forget());
    failures.push(...(await rollback.run()));
  }
  if (failures.length === 0) return error;
  const reason = failures.map((f) => `${f.name}: ${f.message}`).join('; ');
  await conclude(deps, sandbox, { phase: 'unknown', reason: `not undone: ${reason}` });
  deps.store.add(sandbox);
  return new BerthError(error.code, `${error.message} (and was not undone: ${reason})`, { cause });
}

function newRecord(deps: PodDeps, plan: SandboxPlan): SandboxRecord {
  const id = newId();
  const { network, ipc } = plan.namespaces;
  const state = stateDirectory(deps, id);
  const ownNetwork = network === 'POD';
  return {
    version: 1,
    id,
    reservedName: plan.reservedName,
    createdAt: nowNanos().toString(),
    bootId: deps.bootId,
    runtimeHandler: plan.runtimeHandler,
    config: plan.config,
    namespaces: {
      ...(ownNetwork ? { network: netnsPath(deps, id) } : {}),
      ...(ownNetwork ? { uts: join(state, 'uts') } : {}),
      ...(ipc === 'POD' ? { ipc: join(state, 'ipc') } : {}),
      ...(userMappings(plan.config) === undefined ? {} : { user: join(state, 'user') }),
    },
    shm: ipc === 'POD' ? join(state, 'shm') : '',
    hostname: ownNetwork ? plan.hostname || id.slice(0, 12) : '',
    cgroupParent: plan.cgroupParent,
    ...selinux(deps, plan),
    attachments: ownNetwork ? planAttachments(deps, plan, id) : [],
  };
}

function selinux({ store, containers }: PodDeps, { config }: SandboxPlan): Pick<SandboxRecord, 'selinux'> {
  const policy = containers.host.selinux;
  if (policy === undefined) return {};
  const taken = new Set(store.all().map(({ record }) => levelOf(record.selinux?.mountLabel ?? '')));
  const options = config.linux?.securityContext?.selinuxOptions ?? null;
  return { selinux: podLabels(policy, options, freeLevel(taken)) };
}

function planAttachments(deps: PodDeps, plan: SandboxPlan, sandboxId: string): AttachmentRecord[] {
  const { config, metadata, cgroupParent } = plan;
  return deps.network.plan(plan.runtimeHandler, {
    ...metadata,
    sandboxId,
    portMappings: config.portMappings,
    annotations: config.annotations,
    cgroupPath: cgroupParent,
    ...(config.dnsConfig === null ? {} : { dns: config.dnsConfig }),
  });
}

/** The first steps of a sandbox, for one job: its intent and its namespaces. */
function preparation(deps: PodDeps, { record }: Sandbox, plan: SandboxPlan): Preparation {
  const { network, ipc, uts, user } = record.namespaces;
  const mappings = userMappings(plan.config);
  // A user namespace owns those that are made inside it, so these cannot be made before.
  const fits = network !== undefined && ipc !== undefined && uts !== undefined && user === undefined;
  const spare = fits ? deps.spares.take() : undefined;
  return {
    id: record.id,
    intent: { path: deps.files.path(record.id), text: lineOf(record) },
    stateDirectory: stateDirectory(deps, record.id),
    namespaces: {
      ...(network === undefined ? {} : { net: network }),
      ...(ipc === undefined ? {} : { ipc }),
      ...(user === undefined || mappings === undefined ? {} : { user: { ...mappings, path: user } }),
      ...(uts === undefined ? {} : { uts, hostname: record.hostname }),
      ...(record.shm === '' ? {} : { shm: record.shm }),
      sysctls: byTime(plan.sysctls).first,
      loopbackUp: network !== undefined,
      ...(spare === undefined ? {} : { spare }),
    },
  };
}
