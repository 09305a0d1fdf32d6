import { randomBytes } from 'node:crypto';
import { BerthError } from '../lib/errors.ts';

/** How long a URL waits for its client. */
export const TOKEN_MS = 60_000;
const MOST_TOKENS = 1_000;
const TOKEN_BYTES = 16;

interface Waiting<T> {
  readonly request: T;
  readonly until: number;
}

/** Requests that wait for the client that was given their token: one minute, once. */
export class Tokens<T> {
  readonly #now: () => number;
  /** In the order of their ends. */
  readonly #waiting = new Map<string, Waiting<T>>();

  /** @param now milliseconds that never go back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Throws RESOURCE_EXHAUSTED when 1,000 wait. */
  add(request: T): string {
    this.#dropExpired();
    if (this.#waiting.size >= MOST_TOKENS)
      throw new BerthError('RESOURCE_EXHAUSTED', 'maximum number of in-flight requests exceeded');
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    this.#waiting.set(token, { request, until: this.#now() + TOKEN_MS });
    return token;
  }

  /** The request; undefined for a token that is unknown, used or too old. */
  take(token: string): T | undefined {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    return waiting === undefined || waiting.until <= this.#now() ? undefined : waiting.request;
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [token, { until }] of this.#waiting) {
      if (until > now) return;
      this.#waiting.delete(token);
    }
  }
}
