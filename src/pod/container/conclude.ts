import { messageOf } from '../../lib/errors.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import type { ContainerState } from './record.ts';

/** Records what has happened to a container; that it cannot be written is only logged. */
export async function conclude(
  { log }: Pick<PodDeps, 'log'>,
  container: Container,
  change: Partial<ContainerState>,
): Promise<void> {
  await container.conclude(change).catch((error: unknown) => {
    log.error('failed to record a container', { container: container.id, error: messageOf(error) });
  });
}
