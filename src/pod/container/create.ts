import { requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BerthError, codeOf, messageOf, wrap } from '../../lib/errors.ts';
import { encodeJson } from '../../lib/exact-json.ts';
import { newId } from '../../lib/id.ts';
import { nowNanos } from '../../lib/time.ts';
import { buildSpec } from '../../oci/build.ts';
import type { SandboxFacts, SpecInput } from '../../oci/input.ts';
import { pidMode } from '../../oci/namespaces.ts';
import { criResources } from '../../oci/resources.ts';
import { containerLabels, withMountLabel } from '../../oci/selinux.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import { userMappings } from '../../oci/user-namespace.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineImage, MadeContainer, MadeRootFs } from '../engine/engine.ts';
import { podPidNamespace } from '../sandbox/pause.ts';
import { stateDirectory } from '../sandbox/teardown.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { conclude } from './conclude.ts';
import { Container } from './container.ts';
import { declaredVolumes, volumeMount } from './declared-volumes.ts';
import { discard } from './discard.ts';
import { mountImageVolumes, volumeImages } from './image-volumes.ts';
import { hostPathMapper } from './mounts.ts';
import type { ContainerPlan } from './plan.ts';
import type { ContainerRecord } from './record.ts';
import { removeUnlessRunning } from './remove.ts';
import { checkMounts, imageOrCheckpoint, type OpenCheckpoint } from './restore.ts';
import { targetContainer } from './target.ts';

/**
 * Creates a container in a READY sandbox and returns its id (CRI CreateContainer). A retry joins the creation under way, or
 * is given the container that it made; any other container of that name is removed first. Throws ALREADY_EXISTS when it runs.
 */
export function createContainer(deps: PodDeps, plan: ContainerPlan, signal: AbortSignal): Promise<string> {
  const { containers } = deps;
  return containers.creations.join(plan, async () => {
    const old = containers.store.byName(plan.reservedName);
    if (old?.state.phase === 'created' && sameContainer(old.record, plan)) return old.id;
    if (old?.state.phase === 'running') throw alreadyRuns(plan, old);
    if (old !== undefined && !(await removeUnlessRunning(deps, old))) throw alreadyRuns(plan, old);
    // Held against Stop and Remove of the sandbox, which would miss a container that is still being made.
    return deps.locks.with(plan.sandbox.id, () => create(deps, plan, signal));
  });
}

/** Whoever asks for it again has an old view of the pod: that is no reason to end a container. */
function alreadyRuns({ reservedName }: ContainerPlan, { id }: Container): BerthError {
  return new BerthError(
    'ALREADY_EXISTS',
    `failed to create container "${reservedName}": container "${id}" of that name is running`,
  );
}

async function create(deps: PodDeps, plan: ContainerPlan, signal: AbortSignal): Promise<string> {
  const { containers } = deps;
  const { sandbox } = plan;
  if (sandbox.state.phase !== 'ready') {
    throw new BerthError('FAILED_PRECONDITION', `sandbox "${sandbox.id}" is not ready`);
  }
  const { runtimeHandler } = sandbox.record;
  const images = await volumeImages(deps, plan.config, { runtimeHandler, signal });
  const id = newId();
  const { image, checkpoint } = await imageOrCheckpoint(deps, plan, id, signal);
  const record = newRecord(deps, plan, { id, image, images, checkpoint });
  const container = new Container(record, containers.files);
  const recorded = containers.files.writeIntent(container.record);
  // It is looked at once the engine has something to make, which may be after it has failed.
  recorded.catch(() => undefined);
  try {
    const input = { image, images, checkpoint, recorded };
    const { spec, snapshotter } = await makeInEngine(deps, plan, container, input, signal);
    const { uid, gid, additionalGids } = spec.process.user;
    const user = { linux: { uid, gid, supplementalGroups: [...additionalGids] } };
    const resources = criResources(spec);
    const pidNamespace = spec.linux.namespaces.find(({ type }) => type === 'pid')?.path;
    await Promise.all([
      containers.files.writeSpec(container.id, encodeJson(spec)),
      container.update({ phase: 'created', user, resources, snapshotter, pidNamespace }),
    ]);
  } catch (error) {
    await recorded.catch(() => undefined);
    throw await undo(deps, container, wrap(`failed to create container "${plan.reservedName}"`, error));
  }
  containers.store.add(container);
  deps.events.publish('CONTAINER_CREATED_EVENT', sandbox, container.id);
  return container.id;
}

async function undo(deps: PodDeps, container: Container, error: BerthError): Promise<BerthError> {
  try {
    await discard(deps, container);
    await container.forget();
    return error;
  } catch (left) {
    const reason = `not undone: ${messageOf(left)}`;
    await conclude(deps, container, { phase: 'unknown', message: reason });
    deps.containers.store.add(container);
    return new BerthError(codeOf(error), `${error.message} (and was ${reason})`, { cause: error });
  }
}

interface MadeOf {
  readonly image: EngineImage;
  /** Of its image volumes. */
  readonly images: readonly EngineImage[];
  /** What it is restored from. */
  readonly checkpoint: OpenCheckpoint | undefined;
}

interface MakeInput extends MadeOf {
  /** Once its intent is. */
  readonly recorded: Promise<unknown>;
}

async function makeInEngine(
  deps: PodDeps,
  plan: ContainerPlan,
  container: Container,
  { image, images, checkpoint, recorded }: MakeInput,
  signal: AbortSignal,
): Promise<MadeContainer> {
  const { config, sandbox } = plan;
  const { engine, host, features, baseSpec, seccomp, relabel } = deps.containers;
  const { runtimeHandler } = sandbox.record;
  const pidNamespace = await pidNamespaceOf(deps, plan, signal);
  const volumes = declaredVolumes(deps, container.record, image);
  const facts = sandboxFacts(deps, sandbox);
  const input: Omit<SpecInput, 'accounts'> = {
    ...(pidNamespace === undefined ? {} : { pidNamespace }),
    id: container.id,
    config,
    sandbox: facts,
    image: image.config,
    extraMounts: [...volumes.map(volumeMount), ...(checkpoint?.mounts ?? [])],
    imageName: (!checkpoint && config.image?.userSpecifiedImage) || image.tag || image.reference,
    host,
    runtime: features(runtimeHandler),
    handler: requireRuntimeHandler(deps.settings.containerd, runtimeHandler),
    base: baseSpec(runtimeHandler),
    ownDevices: deps.settings.runtime.deviceOwnershipFromSecurityContext,
    seccomp,
    unsetSeccomp: deps.settings.runtime.unsetSeccompProfile,
    cdiDirectories: deps.settings.runtime.cdiSpecDirs,
    ...(relabel === undefined ? {} : { relabel }),
    mapHostPath: hostPathMapper(deps, container.id, facts),
  };
  const { id } = container;
  const spec = async ({ accounts, views }: MadeRootFs): Promise<RuntimeSpec> => {
    const labelled = views.map((view) => withMountLabel(view, containerLabels(input)?.mountLabel));
    const mounts = await mountImageVolumes(deps, container.record, labelled);
    const made = await buildSpec({ ...input, accounts, mounts });
    if (checkpoint !== undefined) checkMounts(made, checkpoint);
    return made;
  };
  return engine.create(
    {
      id,
      sandboxId: sandbox.id,
      runtimeHandler,
      image,
      labels: config.labels,
      idMappings: userMappings(sandbox.record.config),
      volumes,
      layers: checkpoint?.layers ?? [],
      views: images,
      spec,
      ready: recorded,
    },
    { signal },
  );
}

/** The pid namespace to join: of the pod's pause process, or of the target container. Throws INVALID_ARGUMENT for a bad target. */
async function pidNamespaceOf(
  deps: PodDeps,
  { config, sandbox }: ContainerPlan,
  signal: AbortSignal,
): Promise<string | undefined> {
  const mode = pidMode(config);
  if (mode === 'POD') return podPidNamespace(deps, sandbox, signal);
  if (mode !== 'TARGET') return undefined;
  return `/proc/${targetContainer(deps, config, sandbox.id).state.pid}/ns/pid`;
}

/** What a container takes over from its sandbox. */
export function sandboxFacts(deps: Pick<PodDeps, 'settings'>, { record }: Sandbox): SandboxFacts {
  const directory = stateDirectory(deps, record.id);
  const file = (name: string): string => join(directory, name);
  return {
    id: record.id,
    config: record.config,
    namespaces: record.namespaces,
    shm: record.shm,
    ...(record.selinux === undefined ? {} : { selinux: record.selinux }),
    files: { hostname: file('hostname'), hosts: file('hosts'), resolvConf: file('resolv.conf') },
  };
}

function newRecord(
  deps: PodDeps,
  plan: ContainerPlan,
  { id, image, images, checkpoint }: MadeOf & { readonly id: string },
): ContainerRecord {
  const { config, sandbox } = plan;
  const asked = config.stopSignal === 'RUNTIME_DEFAULT' ? '' : config.stopSignal;
  return {
    version: 1,
    id,
    sandboxId: sandbox.id,
    reservedName: plan.reservedName,
    createdAt: nowNanos().toString(),
    bootId: deps.bootId,
    runtimeHandler: sandbox.record.runtimeHandler,
    config,
    imageId: image.id,
    imageTag: image.tag,
    imageRef: image.reference,
    volumeImageRefs: images.map(({ reference }) => reference),
    logPath: plan.logPath,
    ...(checkpoint === undefined ? {} : { restored: checkpoint.from }),
    stopSignal: asked || image.config.stopSignal || 'SIGTERM',
  };
}

function sameContainer(record: ContainerRecord, plan: ContainerPlan): boolean {
  return sameRequest({ sandbox: { id: record.sandboxId }, config: record.config }, plan);
}

/** True when both ask for the same container of the same sandbox; the order of map entries does not matter. */
export function sameRequest(a: Comparable, b: Comparable): boolean {
  return a.sandbox.id === b.sandbox.id && isDeepStrictEqual(a.config, b.config);
}

interface Comparable {
  readonly sandbox: { readonly id: string };
  readonly config: ContainerPlan['config'];
}
