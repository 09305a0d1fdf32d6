import { BerthError } from '../../lib/errors.ts';
import { NamedStore } from '../named-store.ts';
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

/** The sandboxes, and the stories of those that failed. */
export class SandboxStore extends NamedStore<Sandbox> {
  /** Those that are being made: in no list yet, but their story can be told. */
  readonly creating = new Set<Sandbox>();
  #failed: FailedSandbox[] = [];

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
