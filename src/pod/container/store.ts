import { BerthError } from '../../lib/errors.ts';
import { NamedStore } from '../named-store.ts';
import type { Container } from './container.ts';

/** The containers. */
export class ContainerStore extends NamedStore<Container> {
  /** As find, but throws NOT_FOUND. */
  get(given: string): Container {
    const container = this.find(given);
    if (container === undefined) throw new BerthError('NOT_FOUND', `container "${given}" not found`);
    return container;
  }

  /** Those of one sandbox, in order of creation. */
  ofSandbox(sandboxId: string): Container[] {
    return this.all().filter((container) => container.record.sandboxId === sandboxId);
  }
}
