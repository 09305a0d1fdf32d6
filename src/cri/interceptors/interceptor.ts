import type { Call } from '../call.ts';

/** A call as the interceptors see it: a stream ends when its last message is written. */
export type Handler = (request: unknown, call: Call) => Promise<unknown>;

/** Wraps every call; the first of a list is the outermost. */
export type Interceptor = (next: Handler) => Handler;
