import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { viewCount } from './image-volumes.ts';
import { releaseMounts } from './mounts.ts';
import { neverRan } from './record.ts';

/** Takes away all that a container has outside of its record, killing it first if need be. All of it may be gone already. */
export async function discard(deps: PodDeps, { record, state }: Container): Promise<void> {
  const views = viewCount(record.config);
  await deps.containers.engine.delete(record.id, { views, neverRan: neverRan(state) });
  await releaseMounts(deps, record.id);
}
