import { BerthError } from '../../lib/errors.ts';
import { resolveId } from '../../lib/id.ts';
import type { Sandbox } from './sandbox.ts';

/** A sandbox whose creation failed: its story, kept for an hour. */
export interface FailedSandbox {
  readonly sandbox: Sandbox;
  readonly error: string;
  readonly failedAt: number;
}

const FAILED_KEPT_MS = 3_600_000;
/** A crash-looping pod may fail many times an hour; the newest stories are the ones that matter. */
const FAILED_KEPT_MOST = 200;

/** The sandboxes in memory. Every CRI list and status is answered from here, and waits for nothing. */
export class SandboxStore {
  readonly #byId = new Map<string, Sandbox>();
  readonly #byName = new Map<string, Sandbox>();
  #failed: FailedSandbox[] = [];

  add(sandbox: Sandbox): void {
    this.#byId.set(sandbox.id, sandbox);
    this.#byName.set(sandbox.record.reservedName, sandbox);
  }

  remove(sandbox: Sandbox): void {
    this.#byId.delete(sandbox.id);
    this.#byName.delete(sandbox.record.reservedName);
  }

  /** In order of creation. */
  all(): Sandbox[] {
    return [...this.#byId.values()];
  }

  /** The sandbox with this id or unique prefix, or undefined. Throws INVALID_ARGUMENT for an ambiguous prefix. */
  find(given: string): Sandbox | undefined {
    const id = resolveId(given, this.#byId);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** The sandbox that holds this reserved name. */
  byName(reservedName: string): Sandbox | undefined {
    return this.#byName.get(reservedName);
  }

  /** As find, but throws NOT_FOUND. */
  get(given: string): Sandbox {
    const sandbox = this.find(given);
    if (sandbox === undefined) throw new BerthError('NOT_FOUND', `sandbox "${given}" not found`);
    return sandbox;
  }

  keepFailed(sandbox: Sandbox, error: string): void {
    this.#failed = [{ sandbox, error, failedAt: Date.now() }, ...this.failed()].slice(0, FAILED_KEPT_MOST);
  }

  /** Failures of the last hour, newest first. */
  failed(): FailedSandbox[] {
    const oldest = Date.now() - FAILED_KEPT_MS;
    return this.#failed.filter((f) => f.failedAt >= oldest);
  }
}
