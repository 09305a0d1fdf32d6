import { readFile } from 'node:fs/promises';
import type { LinuxContainerResources__Output } from '../../gen/runtime/v1/LinuxContainerResources.ts';
import { BerthError, wrap } from '../../lib/errors.ts';
import { decodeJson, encodeJson } from '../../lib/exact-json.ts';
import { criResources, updateResources } from '../../oci/resources.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';

/**
 * Changes a container's limits (CRI UpdateContainerResources): in its spec, and of one that runs at once. One that has ended, perhaps
 * just now, is no error. What is not given stays.
 */
export function updateContainer(
  deps: PodDeps,
  container: Container,
  resources: LinuxContainerResources__Output,
  signal: AbortSignal,
): Promise<void> {
  const { engine, host } = deps.containers;
  return deps.locks.with(`container ${container.id}`, async () => {
    const { phase } = container.state;
    if (phase === 'creating' || phase === 'unknown') {
      throw new BerthError('FAILED_PRECONDITION', `container "${container.id}" is ${phase}`);
    }
    const path = deps.containers.files.specPath(container.id);
    const spec = decodeJson(await readFile(path, 'utf8')) as RuntimeSpec;
    const updated = updateResources(spec, resources, host);
    try {
      // First: limits that the kernel refuses are nobody's.
      if (phase === 'running') await engine.update(container.id, updated.linux.resources, { signal });
      await engine.updateSpec(container.id, updated, { signal });
    } catch (error) {
      throw wrap(`failed to update container "${container.id}"`, error);
    }
    await deps.containers.files.writeSpec(container.id, encodeJson(updated));
    await container.update({ resources: criResources(updated) });
  });
}
