/**
 * What is mounted for a container below its state directory, for its own mounts to be made from: image volumes, and host paths with
 * their ids mapped where the OCI runtime maps none.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../lib/errors.ts';
import type { SandboxFacts, SpecInput } from '../../oci/input.ts';
import { userMappings } from '../../oci/user-namespace.ts';
import type { PodDeps } from '../deps.ts';
import type { MappedHostPath } from './mount-jobs.ts';

/** The jobs module that the threads of containers must load. */
export const mountJobsModule = new URL('./mount-jobs.js', import.meta.url);

/** Where a container's are: each has a directory in it. */
export function mountsDirectory({ settings }: Pick<PodDeps, 'settings'>, id: string): string {
  return join(settings.storage.state, 'containers', id);
}

/** What mounts host paths for a container with their ids mapped, one after the other. */
export function hostPathMapper(
  deps: Pick<PodDeps, 'settings' | 'threads'>,
  id: string,
  { config, namespaces }: Pick<SandboxFacts, 'config' | 'namespaces'>,
): SpecInput['mapHostPath'] {
  const area = hostPathArea(deps, id);
  const ofPod = userMappings(config);
  let count = 0;
  return async (source, ids) => {
    const target = join(area, `${count}`);
    const isPods = namespaces.user !== undefined && isDeepStrictEqual(ids, ofPod);
    const job: MappedHostPath = {
      source,
      target,
      isFirst: count === 0,
      ids: isPods ? namespaces.user : ids,
    };
    count += 1;
    await deps.threads.call('mounts.host-path', job);
    return target;
  };
}

/**
 * Unmounts the host paths of a container whose start is over: it has its own mounts of them, or never will. Otherwise nobody could remove a
 * directory of the node on which something was mounted below them. What stays goes with the container.
 */
export async function releaseHostPaths(deps: PodDeps, id: string): Promise<void> {
  const area = hostPathArea(deps, id);
  if (!existsSync(area)) return;
  try {
    await deps.threads.call('mounts.release', [area]);
  } catch (error) {
    deps.log.warn('failed to unmount host paths', { container: id, error: messageOf(error) });
  }
}

/** Unmounts all that is mounted for a container; what is gone already is success. */
export async function releaseMounts(deps: PodDeps, id: string): Promise<void> {
  const directory = mountsDirectory(deps, id);
  if (!existsSync(directory)) return;
  const mounts = (await readdir(directory)).map((name) => join(directory, name));
  await deps.threads.call('mounts.release', [...mounts, directory]);
}

/** Unmounts what is mounted for containers that no record names. A mount that stays is no reason for Berth not to start. */
export async function releaseOwnerlessMounts(deps: PodDeps, isOwned: (id: string) => boolean): Promise<void> {
  const ids = await readdir(join(deps.settings.storage.state, 'containers')).catch(() => []);
  for (const id of ids.filter((one) => !isOwned(one))) {
    try {
      await releaseMounts(deps, id);
    } catch (error) {
      const facts = { container: id, error: messageOf(error) };
      deps.log.error('failed to remove the mounts of a container without a record', facts);
    }
  }
}

function hostPathArea(deps: Pick<PodDeps, 'settings'>, id: string): string {
  return join(mountsDirectory(deps, id), 'host-paths');
}
