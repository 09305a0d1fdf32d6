/**
 * Volumes that the image declares (`VOLUME`): each is a directory below the container's own, with what the image has at that path,
 * and goes with the container. A mount of the request at the same path takes its place.
 */
import { join, posix } from 'node:path';
import type { Mount__Output } from '../../gen/runtime/v1/Mount.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineImage } from '../engine/engine.ts';
import type { EngineVolume } from '../engine/volume-content.ts';
import type { ContainerRecord } from './record.ts';

/** Those that no mount of the request covers, with the directories that they are to have. */
export function declaredVolumes(
  deps: Pick<PodDeps, 'containers'>,
  { id, config }: Pick<ContainerRecord, 'id' | 'config'>,
  { config: { volumes } }: EngineImage,
): EngineVolume[] {
  const taken = new Set(config.mounts.map(({ containerPath }) => clean(containerPath)));
  const paths = new Set(volumes.map(clean).filter((path) => !taken.has(path)));
  const parent = deps.containers.files.directory(id);
  return [...paths].map((path, i) => ({ path, directory: join(parent, `volume-${i}`) }));
}

/** How a container mounts it. */
export function volumeMount({ path, directory }: EngineVolume): Mount__Output {
  return {
    containerPath: path,
    hostPath: directory,
    readonly: false,
    selinuxRelabel: true,
    propagation: 'PROPAGATION_PRIVATE',
    uidMappings: [],
    gidMappings: [],
    recursiveReadOnly: false,
    image: null,
    imageSubPath: '',
  };
}

/** Builders write what the Dockerfile says: `data`, `/data/`. */
function clean(path: string): string {
  const normal = posix.join('/', path);
  return normal === '/' ? normal : normal.replace(/\/$/, '');
}
