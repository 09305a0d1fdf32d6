import type { Container__Output } from '../../gen/runtime/v1/Container.ts';
import { BerthError } from '../../lib/errors.ts';
import type { Client } from '../client.ts';
import type { OptionSpecs } from '../command.ts';
import { UsageError } from '../exit.ts';
import { findPod, nameOf } from './find.ts';

/** The flag that names a container of the pod. */
export const containerOption = {
  container: {
    type: 'string',
    short: 'C',
    value: 'NAME',
    help: 'the container; not needed when the pod has one',
  },
} as const satisfies OptionSpecs;

/**
 * The container that a person means: of that name, or the only one; of several attempts the newest. Throws NOT_FOUND, and a UsageError
 * that names the containers when there are several.
 */
export async function findContainer(
  client: Client,
  podGiven: string,
  name: string | undefined,
): Promise<Container__Output> {
  const pod = findPod(podGiven, (await client.listPods()).items);
  const { containers } = await client.listContainers(pod.id);
  const byName = new Map<string, Container__Output>();
  for (const container of [...containers].sort(oldestFirst))
    byName.set(container.metadata?.name ?? '', container);
  const names = [...byName.keys()];
  const [only, second] = names;
  if (name === undefined && second !== undefined)
    throw new UsageError(
      `pod "${nameOf(pod)}" has several containers, name one with --container: ${names.join(', ')}`,
    );
  const found = byName.get(name ?? only ?? '');
  if (found !== undefined) return found;
  const what = name === undefined ? 'no container' : `no container "${name}"`;
  throw new BerthError('NOT_FOUND', `pod "${nameOf(pod)}" has ${what}`);
}

function oldestFirst(a: Container__Output, b: Container__Output): number {
  return Number(BigInt(a.createdAt) - BigInt(b.createdAt));
}
