import { handlerNameOf, isRunc } from '../config/runtime-handlers.ts';
import type { Config } from '../config/schema.ts';
import { Containerd } from '../containerd/containerd.ts';
import { EmbeddedContainerd, embeddedPaths } from '../containerd/embedded/embedded.ts';
import { chooseEngine } from '../containerd/engine-choice.ts';
import { ShimWatch } from '../containerd/shim-watch.ts';
import { Shims } from '../containerd/shims.ts';
import { withPinnedImage } from '../containerd/pinned-image.ts';
import { ContainerdImageService, type ImageService } from '../containerd/image-service.ts';
import { Relabeller } from '../kernel/relabeller.ts';
import type { ThreadPool } from '../kernel/threads/pool.ts';
import { invalid, messageOf } from '../lib/errors.ts';
import type { Files } from '../lib/atomic-file.ts';
import { deadlineSignal } from '../lib/deadline.ts';
import type { Logger } from '../lib/log.ts';
import { BASE_SPEC } from '../oci/base.ts';
import { loadBaseSpec } from '../oci/base-file.ts';
import { loadDefaultApparmor } from '../oci/apparmor-profile.ts';
import { detectHostFacts, type HostFacts } from '../oci/host-facts.ts';
import { KnownFeatures } from '../oci/known-features.ts';
import { loadSeccompTemplate } from '../oci/seccomp-template.ts';
import type { RuntimeSpec } from '../oci/types.ts';
import { containerFiles } from '../pod/container/record.ts';
import type { ContainerDeps } from '../pod/container/deps.ts';
import { sameRequest } from '../pod/container/create.ts';
import { Executions } from '../pod/container/executions.ts';
import type { ContainerPlan } from '../pod/container/plan.ts';
import { ioDirectory } from '../pod/container/start.ts';
import { ContainerStore } from '../pod/container/store.ts';
import { Creations } from '../pod/creations.ts';
import { ContainerdEngine } from '../pod/engine/containerd-engine.ts';
import { EngineImages } from '../pod/engine/images.ts';
import { RootFs } from '../pod/engine/rootfs.ts';
import { Pumps } from '../stdio/pumps.ts';

/** How long an embedded containerd may take until the socket appears without it. */
const EMBEDDED_READY_MS = 10_000;

/** Everything that containers need, started. */
export interface EngineParts {
  readonly containers: ContainerDeps;
  readonly images: ImageService;
  /** Resolves when the OCI runtimes have told their features, which no call shall be answered without, or have had their time. */
  readonly asked: Promise<void>;
  /** Jobs on root file systems that wait or run. */
  readonly pending: () => Record<string, number>;
}

export interface EngineStart {
  readonly config: Config;
  readonly instance: string;
  /** What keeps the containers' records. */
  readonly files: Files;
  /** Must load shimJobsModule. */
  readonly threads: ThreadPool;
  /** Is given what to do to stop, in the order of starting, also when the start fails. */
  readonly stops: (() => Promise<void> | void)[];
  /** Ends what waits for the engine. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Chooses the engine, starts an embedded one, connects, and builds what works with it. Throws the signal's reason. */
export async function startEngine(start: EngineStart): Promise<EngineParts> {
  const { config, instance, files, threads, stops, signal, log } = start;
  const baseSpec = await baseSpecs(config);
  // Programs answer while the engine is looked for, and what runs is recovered.
  const features = new KnownFeatures(log);
  stops.push(() => features.stop());
  const asked = features.ask(runcBinaries(config));
  const { address, wait, runcRoot, shimWatch, failure } = await engineAddress(start);
  const containerd = new Containerd({ address, log });
  containerd.connection.start();
  stops.push(() => containerd.connection.close());
  const shims = new Shims();
  stops.push(() => shims.close());
  stops.push(() => shimWatch.end());
  if (wait) {
    using deadline = deadlineSignal('starting containerd', EMBEDDED_READY_MS, signal);
    await containerd.connection.ready(deadline).catch(() => signal.throwIfAborted());
  }
  const rootfs = new RootFs();
  stops.push(() => rootfs.stop());
  const pumps = new Pumps({
    onReport: (report) => log.warn('container log', { ...report }),
    onThreadDied: (error) => log.error('the log thread died and is started again', { error: error.message }),
  });
  stops.push(() => pumps.stopAll());
  const { connection } = containerd;
  const engine = new ContainerdEngine({
    containerd,
    shims,
    shimWatch,
    images: new EngineImages(new ContainerdImageService(connection), connection),
    rootfs,
    threads,
    settings: config.containerd,
    runcRoot,
    instance,
    failure,
  });
  const host = await hostFacts(config, log);
  const containers: ContainerDeps = {
    store: new ContainerStore(),
    files: containerFiles(config.storage.root, files),
    creations: new Creations<ContainerPlan>((a, b) => sameRequest(a, b)),
    engine,
    pumps,
    executions: new Executions({ engine, directory: ioDirectory({ settings: config }), log }),
    host,
    features: (handler) => features.of(handlerNameOf(config.containerd, handler)),
    baseSpec,
    seccomp: await loadSeccompTemplate(),
    relabel: host.selinux === undefined ? undefined : relabel(stops),
  };
  const images = withPinnedImage(engine.images, config.sandbox.image);
  return { containers, images, asked, pending: () => rootfs.pending() };
}

function relabel(stops: EngineStart['stops']): ContainerDeps['relabel'] {
  const relabeller = new Relabeller();
  stops.push(() => relabeller.stop());
  return (path, label) => relabeller.relabel(path, label);
}

/** Where the engine listens, and whether to wait for it: an external one that is away is a state, not something to wait for. */
async function engineAddress({ config, log, stops, signal }: EngineStart): Promise<{
  address: string;
  wait: boolean;
  runcRoot: string;
  shimWatch: ShimWatch;
  failure: () => string | undefined;
}> {
  const { storage, containerd } = config;
  const configured = { address: containerd.address, root: storage.root, log };
  const choice = await chooseEngine(configured, { signal });
  if (choice.kind === 'external') {
    const { address } = choice;
    const shimWatch = new ShimWatch({ address, log });
    return { address, wait: false, runcRoot: '', shimWatch, failure: () => undefined };
  }
  const { registryConfigPath, snapshotter } = containerd;
  const { runcRoot, socket } = embeddedPaths(storage);
  const shimWatch = new ShimWatch({ address: socket, log });
  const beforeStart = (): Promise<void> => shimWatch.begin();
  const handlerSnapshotters = new Map([...containerd.runtimes].map(([name, one]) => [name, one.snapshotter]));
  const settings = { registryConfigPath, snapshotter, handlerSnapshotters };
  const embedded = new EmbeddedContainerd({ ...storage, ...settings, beforeStart, log });
  stops.push(() => embedded.stop({ ifIdle: true }).then(() => undefined));
  const started = await embedded.start({ signal }).then(
    () => true,
    (error: unknown) => {
      signal.throwIfAborted();
      const how = 'there is no embedded containerd yet: sandboxes are served, containers are not';
      log.error(how, { error: messageOf(error) });
      embedded.keepTrying(error);
      return false;
    },
  );
  return { address: socket, wait: started, runcRoot, shimWatch, failure: () => embedded.status.failure };
}

/** Where the kernel has AppArmor, RuntimeDefault is a profile of ours, loaded now. */
async function hostFacts(config: Config, log: Logger): Promise<HostFacts> {
  const facts = detectHostFacts({ restrictOomScoreAdj: restriction(config.runtime.restrictOomScoreAdj) });
  const { apparmor } = facts;
  return apparmor === undefined ? facts : { ...facts, apparmor: await loadDefaultApparmor(apparmor, log) };
}

function restriction(setting: Config['runtime']['restrictOomScoreAdj']): 'auto' | 'always' | 'never' {
  if (setting === 'auto') return 'auto';
  return setting ? 'always' : 'never';
}

/** Read once at start. Throws INVALID_ARGUMENT naming the key of a file that cannot be used. */
async function baseSpecs({ containerd }: Config): Promise<ContainerDeps['baseSpec']> {
  const byName = new Map<string, RuntimeSpec>();
  for (const [name, { baseRuntimeSpec: path }] of containerd.runtimes) {
    if (path === '') continue;
    const key = `containerd.runtimes.${name}.base_runtime_spec`;
    const spec = await loadBaseSpec(path).catch((error: unknown) => {
      throw invalid(key, messageOf(error));
    });
    byName.set(name, spec);
  }
  return (handler) => byName.get(handlerNameOf(containerd, handler)) ?? BASE_SPEC;
}

/** The OCI runtimes that runc's shim runs, by their handlers. */
function runcBinaries({ containerd }: Config): Map<string, string> {
  const runc = [...containerd.runtimes].filter(([, { type }]) => isRunc(type));
  return new Map(runc.map(([name, { binary }]) => [name, binary === '' ? 'runc' : binary]));
}
