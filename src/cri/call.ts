import type { CriDeps } from './deps.ts';

/** One request's circumstances. */
export interface Call {
  /** RPC name, e.g. `RunPodSandbox`. */
  readonly method: string;
  /** Aborts when the client goes away or its deadline passes, or when Berth stops. */
  readonly signal: AbortSignal;
  /** Milliseconds until the client's deadline, at the start of the call; Infinity without one. */
  readonly remainingMs: number;
}

export type Unary<Request, Response> = (
  deps: CriDeps,
  request: Request,
  call: Call,
) => Promise<Response> | Response;
export type ServerStream<Request, Response> = (
  deps: CriDeps,
  request: Request,
  call: Call,
) => AsyncIterable<Response>;
