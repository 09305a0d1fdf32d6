import type { PodDeps } from '../deps.ts';
import { releaseImageVolumes, viewCount } from './image-volumes.ts';
import type { ContainerRecord } from './record.ts';

/** Takes away all that a container has outside of its record, killing it first if need be. All of it may be gone already. */
export async function discard(deps: PodDeps, record: ContainerRecord): Promise<void> {
  await deps.containers.engine.delete(record.id, { views: viewCount(record.config) });
  await releaseImageVolumes(deps, record);
}
