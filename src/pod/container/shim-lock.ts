import type { PodDeps } from '../deps.ts';

/**
 * Runs what makes or ends a task of a pod, one such thing at a time. A pod's containers share a shim, which leaves with the last
 * of them: a container that is started just then would find it gone. Taken after every other lock, and held for a short time only.
 */
export function withShim<T>(
  deps: Pick<PodDeps, 'locks'>,
  sandboxId: string,
  work: () => Promise<T>,
): Promise<T> {
  return deps.locks.with(`shim ${sandboxId}`, work);
}
