/**
 * The pause process of a pod: first process, and reaper, of a pid namespace that the pod's containers share. Most pods never
 * need one: it is started by the first container whose own pid mode is POD. A runtime that keeps a pod in a machine of its own (Kata,
 * gVisor) makes that with the first container: with `sandbox = "pause"` the pause process is there from RunPodSandbox to the end.
 */
import { requireRuntimeHandler, runtimeHandlerOf } from '../../config/runtime-handlers.ts';
import { identify } from '../../containerd/embedded/process.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupsPathOf, sysfsOfNode } from '../../oci/root.ts';
import { processLabelFor } from '../../oci/selinux.ts';
import { BerthError, wrap } from '../../lib/errors.ts';
import { passedOn } from '../../oci/annotations.ts';
import { BASE_SPEC } from '../../oci/base.ts';
import type { LinuxNamespace, RuntimeSpec, SpecMount } from '../../oci/types.ts';
import { userMappings } from '../../oci/user-namespace.ts';
import { withShim } from '../container/shim-lock.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineImage, ImageOptions } from '../engine/engine.ts';
import type { SandboxRecord } from './record.ts';
import type { Sandbox } from './sandbox.ts';
import { conclude } from './teardown.ts';

/** Below every container of the pod, so that the kernel, short of memory, takes it last. */
const OOM_SCORE_ADJ = -998;
const PROGRAM = '/catatonit';

const NO_STREAMS = { io: { stdin: '', stdout: '', stderr: '', terminal: false } };

const NO_IMAGE: EngineImage = {
  id: '',
  tag: '',
  reference: '',
  name: '',
  chainId: Promise.resolve(''),
  config: {
    entrypoint: [PROGRAM],
    cmd: ['-P'],
    env: [],
    user: '',
    workingDir: '',
    stopSignal: '',
    volumes: [],
    labels: {},
  },
};

/** Whether the sandbox is nothing without its pause process. */
export function livesByPause(
  { settings: { containerd } }: Pick<PodDeps, 'settings'>,
  { runtimeHandler }: Pick<SandboxRecord, 'runtimeHandler'>,
): boolean {
  return runtimeHandlerOf(containerd, runtimeHandler)?.sandbox === 'pause';
}

/** The path of the pod's shared pid namespace; starts the pause process if need be. The sandbox's lock is held. */
export async function podPidNamespace(deps: PodDeps, sandbox: Sandbox, signal: AbortSignal): Promise<string> {
  await startPause(deps, sandbox, signal);
  return pausePidNamespace(sandbox);
}

/**
 * The path of the pid namespace of the pause process. Throws FAILED_PRECONDITION unless that runs: its end may not have been told yet, and
 * another process may have the pid.
 */
export function pausePidNamespace({ id, state }: Pick<Sandbox, 'id' | 'state'>): string {
  const { pausePid, pauseStartTime } = state;
  const found = identify(pausePid);
  if (found === undefined || (pauseStartTime !== undefined && found.startTime !== pauseStartTime))
    throw new BerthError('FAILED_PRECONDITION', `the pause process of sandbox "${id}" has ended`);
  return `/proc/${pausePid}/ns/pid`;
}

/** Ends the pause process and forgets it; without one nothing happens. */
export async function endPause(deps: PodDeps, sandbox: Sandbox): Promise<void> {
  const { pauseMade, pausePid } = sandbox.state;
  if (!pauseMade && pausePid === 0) return;
  const neverRan = pausePid === 0;
  await withShim(deps, sandbox.id, () => deps.containers.engine.delete(sandbox.id, { neverRan }));
  await conclude(deps, sandbox, { pausePid: 0, pauseMade: false });
}

/** Starts the pause process, unless it runs. The sandbox's lock is held. */
export async function startPause(deps: PodDeps, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  if (sandbox.state.pausePid !== 0) return;
  const { engine } = deps.containers;
  try {
    // What a Berth that was killed in the middle left.
    if (sandbox.state.pauseMade) await endPause(deps, sandbox);
    await sandbox.update({ pauseMade: true });
    const { runtimeHandler } = sandbox.record;
    const image = await pauseImage(deps, { runtimeHandler, signal });
    const labels = { 'io.berth.kind': 'pause' };
    const spec = async (): Promise<RuntimeSpec> => pauseSpec(deps, sandbox, image);
    await engine.create(
      {
        id: sandbox.id,
        sandboxId: sandbox.id,
        runtimeHandler,
        image,
        labels,
        idMappings: userMappings(sandbox.record.config),
        volumes: [],
        views: [],
        spec,
      },
      { signal },
    );
    const process = { ...NO_STREAMS, runtimeHandler };
    const { pid } = await withShim(deps, sandbox.id, () => engine.start(sandbox.id, process, { signal }));
    const { startTime = '' } = identify(pid) ?? {};
    await sandbox.update({ pausePid: pid, pauseStartTime: startTime });
  } catch (error) {
    await endPause(deps, sandbox).catch(() => undefined);
    throw wrap('failed to start the pause process', error);
  }
}

async function pauseImage(deps: PodDeps, options: ImageOptions): Promise<EngineImage> {
  const { image } = deps.settings.sandbox;
  return image === '' ? NO_IMAGE : deps.containers.engine.pulledImage(image, options);
}

function pauseSpec(deps: PodDeps, { record }: Sandbox, image: EngineImage): RuntimeSpec {
  const { network, ipc, uts, user } = record.namespaces;
  const { selinux } = record;
  const selinuxLabel = pauseLabel(deps, record);
  const mappings = userMappings(record.config);
  const joined = (type: LinuxNamespace['type'], path: string | undefined): LinuxNamespace[] =>
    path === undefined ? [] : [{ type, path }];
  const none = { bounding: [], effective: [], permitted: [] };
  const { leastOomScoreAdj } = deps.containers.host;
  const { entrypoint, cmd, env } = image.config;
  return {
    ...BASE_SPEC,
    process: {
      ...BASE_SPEC.process,
      args: [...entrypoint, ...cmd],
      env: [...env],
      capabilities: none,
      noNewPrivileges: true,
      ...(selinuxLabel === undefined ? {} : { selinuxLabel }),
      oomScoreAdj: Math.max(OOM_SCORE_ADJ, leastOomScoreAdj ?? OOM_SCORE_ADJ),
    },
    root: { ...BASE_SPEC.root, readonly: true },
    mounts: [
      ...sysfsOfNode(BASE_SPEC.mounts, record.namespaces, deps.containers.features(record.runtimeHandler)),
      ...(image === NO_IMAGE ? [programMount()] : []),
    ],
    annotations: sandboxAnnotations(deps, record),
    linux: {
      ...BASE_SPEC.linux,
      cgroupsPath: cgroupsPathOf(record.cgroupParent, record.id),
      namespaces: [
        { type: 'mount' },
        { type: 'pid' },
        ...joined('network', network),
        ...joined('ipc', ipc),
        ...joined('uts', uts),
        ...joined('user', user),
      ],
      ...(selinux === undefined ? {} : { mountLabel: selinux.mountLabel }),
      ...(mappings === undefined ? {} : { uidMappings: mappings.uids, gidMappings: mappings.gids }),
    },
  };
}

/** None in a privileged pod, whose containers need not be confined. */
function pauseLabel(
  { settings, containers }: PodDeps,
  { config, selinux, runtimeHandler }: SandboxRecord,
): string | undefined {
  if (selinux === undefined || config.linux?.securityContext?.privileged === true) return undefined;
  const handler = requireRuntimeHandler(settings.containerd, runtimeHandler);
  return processLabelFor(selinux, handler, containers.host.selinux);
}

/** containerd's CRI annotations: Kata and gVisor know by them what they make, and how large. Beside them those of the pod that the handler wants. */
function sandboxAnnotations(
  deps: Pick<PodDeps, 'settings'>,
  { id, config, runtimeHandler }: SandboxRecord,
): Record<string, string> {
  const { metadata, linux, logDirectory, annotations } = config;
  const { resources } = linux ?? {};
  const { podAnnotations = [] } = runtimeHandlerOf(deps.settings.containerd, runtimeHandler) ?? {};
  return {
    ...passedOn(annotations, podAnnotations),
    'io.kubernetes.cri.container-type': 'sandbox',
    'io.kubernetes.cri.sandbox-id': id,
    'io.kubernetes.cri.sandbox-name': metadata?.name ?? '',
    'io.kubernetes.cri.sandbox-namespace': metadata?.namespace ?? '',
    'io.kubernetes.cri.sandbox-uid': metadata?.uid ?? '',
    'io.kubernetes.cri.sandbox-log-directory': logDirectory,
    'io.kubernetes.cri.sandbox-cpu-period': resources?.cpuPeriod ?? '0',
    'io.kubernetes.cri.sandbox-cpu-quota': resources?.cpuQuota ?? '0',
    'io.kubernetes.cri.sandbox-cpu-shares': resources?.cpuShares ?? '0',
    'io.kubernetes.cri.sandbox-memory': resources?.memoryLimitInBytes ?? '0',
  };
}

/** The host's own catatonit, static, on an otherwise empty root. Throws FAILED_PRECONDITION when there is none. */
function programMount(): SpecMount {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/libexec/podman'];
  const source = directories
    .map((directory) => join(directory, 'catatonit'))
    .find((path) => existsSync(path));
  if (source === undefined) {
    const what = 'a shared pid namespace needs catatonit: install it, or set [sandbox] image';
    throw new BerthError('FAILED_PRECONDITION', what);
  }
  return { destination: PROGRAM, type: 'bind', source, options: ['bind', 'ro', 'nosuid', 'nodev'] };
}
