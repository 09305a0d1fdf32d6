import { resolveId } from '../lib/id.ts';

interface Named {
  readonly id: string;
  readonly record: { readonly reservedName: string };
}

/** Objects in memory, by id and by reserved name. Every CRI list and status is answered from here, and waits for nothing. */
export class NamedStore<T extends Named> {
  readonly #byId = new Map<string, T>();
  readonly #byName = new Map<string, T>();

  add(object: T): void {
    this.#byId.set(object.id, object);
    this.#byName.set(object.record.reservedName, object);
  }

  /** Adds one of an earlier Berth late: a new one of its name that is there already keeps the name. */
  addLate(object: T): void {
    const named = this.#byName.get(object.record.reservedName);
    this.add(object);
    if (named !== undefined) this.#byName.set(object.record.reservedName, named);
  }

  remove(object: T): void {
    this.#byId.delete(object.id);
    if (this.#byName.get(object.record.reservedName) === object)
      this.#byName.delete(object.record.reservedName);
  }

  /** In order of creation. */
  all(): T[] {
    return [...this.#byId.values()];
  }

  /** The object with this very id: for what others than a person name. */
  byId(id: string): T | undefined {
    return this.#byId.get(id);
  }

  /** The object with this id or unique prefix, or undefined. Throws INVALID_ARGUMENT for an ambiguous prefix. */
  find(given: string): T | undefined {
    const id = resolveId(given, this.#byId);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** The object that holds this reserved name. */
  byName(reservedName: string): T | undefined {
    return this.#byName.get(reservedName);
  }
}
