import { isRunc, requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import type { ContainerdConfig } from '../../config/schema.ts';
import type { Containerd } from '../../containerd/containerd.ts';
import type { NewContainer } from '../../containerd/containers.ts';
import type { Snapshots } from '../../containerd/snapshots.ts';
import { runcOptionsAny, shimConfigAny } from '../../containerd/typeurl.ts';
import type { Mount } from '../../containerd/types.ts';
import { wrap } from '../../lib/errors.ts';
import { Rollback } from '../../lib/rollback.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import type { IdMappings } from '../../oci/user-namespace.ts';
import type { EngineImage, EngineOptions, MadeContainer, NewEngineContainer } from './engine.ts';
import { type LeasedCall, layOver } from './checkpoint.ts';
import { gone } from './gone.ts';
import type { Remapper } from './remapper.ts';
import type { RootFs } from './rootfs.ts';
import type { Snapshotters } from './snapshotters.ts';

/**
 * What is made before the container object holds it: longer than any image takes to be unpacked, and copied for a user namespace or into
 * volumes, on whatever disk. What a Berth that dies in between leaves, the next one lets go of.
 */
const LEASE_MS = 24 * 60 * 60 * 1_000;
/** containerd's shim puts containers with the same value into one process: a pod's containers share one. */
const SHIM_GROUP = 'io.containerd.runc.v2.group';

export interface CreationParts {
  readonly containerd: Containerd;
  readonly snapshotters: Snapshotters;
  readonly remapper: Remapper;
  readonly rootfs: RootFs;
  readonly settings: ContainerdConfig;
  /** Where runc keeps its own state; '' for runc's default, which every containerd of the machine shares. */
  readonly runcRoot: string;
  /** The label that says whose something is. */
  readonly mark: Readonly<Record<string, string>>;
}

/** Makes a container with its root file system and views, or, when it fails, nothing. */
export async function createContainer(
  parts: CreationParts,
  container: NewEngineContainer,
  options: EngineOptions,
): Promise<MadeContainer> {
  const { id, image, runtimeHandler, idMappings, volumes, ready } = container;
  // It is looked at once the lease is there.
  ready?.catch(() => undefined);
  const { containerd, snapshotters, rootfs, mark } = parts;
  const snapshots = await snapshotters.ofHandler(runtimeHandler, options);
  using lease = await containerd.leases.hold({ ttlMs: LEASE_MS, labels: mark }, options);
  const call = { ...options, lease: lease.id };
  const labels = { ...container.labels, ...mark, 'io.berth.sandbox': container.sandboxId };
  const rollback = new Rollback();
  await ready;
  snapshotters.note(id, snapshots);
  try {
    rollback.add('snapshot', () => gone(snapshots.remove(id)));
    const parent = await parentOf(parts, snapshots, image, idMappings, call);
    const mounts = await snapshots.prepare({ key: id, parent, labels }, call);
    const views: Mount[][] = [];
    for (const [i, view] of container.views.entries()) {
      const key = viewKey(id, i);
      rollback.add('view', () => gone(snapshots.remove(key)));
      views.push(
        await snapshots.view({ key, parent: await parentOf(parts, snapshots, view, idMappings, call) }, call),
      );
    }
    // Before what a checkpoint brings: they are kept for the image's other containers, and the user that was asked for is the image's.
    const accounts = await rootfs.inspect({ image: image.id, mounts, volumes, idMappings });
    for (const [i, file] of (container.layers ?? []).entries())
      await layOver(containerd, { file, ref: `${id}-layer-${i}` }, mounts, call);
    const made = await container.spec({ accounts, views });
    const spec = { ...made, annotations: { ...made.annotations, [SHIM_GROUP]: container.sandboxId } };
    const { snapshotter } = snapshots;
    const held = Object.fromEntries(views.map((_, i) => [viewReference(snapshotter, i), viewKey(id, i)]));
    await containerd.containers.create(
      {
        id,
        labels: { ...labels, ...(held as Record<string, string>) },
        image: image.name,
        runtime: runtimeOf(parts, runtimeHandler, spec),
        spec,
        snapshotter,
        snapshotKey: id,
      },
      call,
    );
    return { spec, snapshotter };
  } catch (error) {
    const failures = await rollback.run();
    const left = failures.map((failure) => `${failure.name} is left: ${failure.message}`).join('; ');
    throw left === '' ? error : wrap(left, error);
  }
}

/** The snapshot of a container's view. */
export function viewKey(id: string, index: number): string {
  return `${id}-view-${index}`;
}

/** The label by which a container holds a view against the garbage collector. */
function viewReference(snapshotter: string, index: number): string {
  return `containerd.io/gc.ref.snapshot.${snapshotter}/view-${index}`;
}

/** The snapshot below a container's: the image's own, or its copy for a user namespace. */
async function parentOf(
  { remapper }: CreationParts,
  snapshots: Snapshots,
  image: EngineImage,
  idMappings: IdMappings | undefined,
  call: LeasedCall,
): Promise<string> {
  const chainId = await image.chainId;
  return idMappings === undefined ? chainId : remapper.remapped(snapshots, chainId, idMappings, call);
}

function runtimeOf(
  { settings, containerd, runcRoot }: CreationParts,
  handler: string,
  spec: RuntimeSpec,
): NewContainer['runtime'] {
  const { type, configPath, binary } = requireRuntimeHandler(settings, handler);
  const { api } = containerd.connection;
  // Other shims refuse options that are not theirs.
  if (!isRunc(type))
    return configPath === '' ? { type } : { type, options: shimConfigAny(api, type, configPath) };
  // A slice is systemd's to make; the parent that kubelet sent decides, whatever driver is configured.
  const systemdCgroup = spec.linux.cgroupsPath.includes('.slice:');
  const [uids, gids] = [spec.linux.uidMappings?.[0], spec.linux.gidMappings?.[0]];
  const options = {
    binaryName: binary,
    systemdCgroup,
    root: runcRoot,
    // Whose the pipes of its outputs are: to open /dev/stdout takes an owner that its user namespace knows.
    ...(uids === undefined || gids === undefined ? {} : { ioUid: uids.hostID, ioGid: gids.hostID }),
  };
  return { type, options: runcOptionsAny(api, options) };
}
