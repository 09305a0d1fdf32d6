/**
 * Volumes that are images (`Mount.image`): each is mounted read-only below the container's state directory, from a view that the
 * engine keeps with the container. The container's configuration, which is recorded first, says which there are.
 */
import { join } from 'node:path';
import type { ContainerConfig__Output } from '../../gen/runtime/v1/ContainerConfig.ts';
import type { Mount__Output } from '../../gen/runtime/v1/Mount.ts';
import type { FilesystemMount } from '../../kernel/mount-filesystem.ts';
import { invalid, wrap } from '../../lib/errors.ts';
import type { PodDeps } from '../deps.ts';
import { checkImageName } from '../name.ts';
import type { EngineImage, ImageOptions } from '../engine/engine.ts';
import type { ImageVolumeMount } from './mount-jobs.ts';
import { mountsDirectory } from './mounts.ts';
import type { ContainerRecord } from './record.ts';

/** kubelet and people know a failure by this word of the CRI. */
const REASON = 'ImageVolumeMountFailed';

type Identified = Pick<ContainerRecord, 'id' | 'config'>;

/** Checks the mounts that are images. Throws INVALID_ARGUMENT that names the field. */
export function checkImageVolumes({ mounts }: Pick<ContainerConfig__Output, 'mounts'>): void {
  for (const [i, mount] of mounts.entries()) {
    const field = `config.mounts[${i}]`;
    if (mount.image === null) {
      if (mount.imageSubPath !== '') throw invalid(`${field}.image_sub_path`, 'needs an image');
      continue;
    }
    checkImageName(`${field}.image.image`, mount.image.image);
    if (mount.hostPath !== '') throw invalid(`${field}.host_path`, 'must be empty when image is set');
    if (!mount.readonly) throw invalid(`${field}.readonly`, 'must be true when image is set');
    if (mount.imageSubPath.includes('\0'))
      throw invalid(`${field}.image_sub_path`, 'must not contain a NUL character');
  }
}

/** The images of a container's image volumes, in the order of its mounts. */
export function volumeImages(
  deps: PodDeps,
  config: ContainerConfig__Output,
  options: ImageOptions,
): Promise<EngineImage[]> {
  return Promise.all(
    imageMounts(config).map(async ({ mount }) => {
      try {
        const image = await deps.containers.engine.image(mount.image?.image ?? '', options);
        await image.chainId;
        return image;
      } catch (error) {
        throw wrap(REASON, error);
      }
    }),
  );
}

/** How many views the engine keeps for a container. */
export function viewCount(config: ContainerConfig__Output): number {
  return imageMounts(config).length;
}

/** Mounts the views, and gives the container's mounts with the host paths of its image volumes filled in. */
export async function mountImageVolumes(
  deps: PodDeps,
  { id, config }: Identified,
  views: readonly (readonly FilesystemMount[])[],
): Promise<Mount__Output[]> {
  const mounts = [...config.mounts];
  for (const [n, { mount, index }] of imageMounts(config).entries()) {
    const job: ImageVolumeMount = {
      mounts: views[n] ?? [],
      directory: join(mountsDirectory(deps, id), `image-${n}`),
      subPath: mount.imageSubPath,
    };
    try {
      const hostPath = (await deps.threads.call('mounts.image', job)) as string;
      // The files have the ids of the pod's user namespace already.
      mounts[index] = { ...mount, hostPath, uidMappings: [], gidMappings: [] };
    } catch (error) {
      throw wrap(`${REASON}: image "${mount.image?.image ?? ''}"`, error);
    }
  }
  return mounts;
}

function imageMounts({ mounts }: ContainerConfig__Output): { mount: Mount__Output; index: number }[] {
  return mounts.map((mount, index) => ({ mount, index })).filter(({ mount: { image } }) => image !== null);
}
