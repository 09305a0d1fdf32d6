import { BerthError } from './errors.ts';

/** Node's own timers take no more: a longer one, as for a grace period of a month, fires at once. */
const TIMER_MOST_MS = 2 ** 31 - 1;

/** As setTimeout, but of any length; returns what ends it. */
function startTimer(ms: number, run: () => void, { keepsAlive = true } = {}): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    timer = setTimeout(
      () => (left > TIMER_MOST_MS ? wait(left - TIMER_MOST_MS) : run()),
      Math.min(left, TIMER_MOST_MS),
    );
    if (!keepsAlive) timer.unref();
  };
  wait(ms);
  return () => clearTimeout(timer);
}

/**
 * A signal that aborts with DEADLINE_EXCEEDED after so many milliseconds, or with the reason of the given signal before
 * that. Dispose it when the work has ended, so that no timer stays.
 */
export function deadlineSignal(
  doing: string,
  ms: number,
  parent?: AbortSignal,
): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const onParent = (): void => controller.abort(parent?.reason);
  const endTimer = startTimer(ms, () => {
    controller.abort(new BerthError('DEADLINE_EXCEEDED', `${doing} took longer than ${Math.round(ms)} ms`));
  });
  if (parent?.aborted === true) onParent();
  parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      endTimer();
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/** Resolves after so many milliseconds, or at once when the signal aborts. Does not keep the process alive. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      endTimer();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const endTimer = startTimer(ms, done, { keepsAlive: false });
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Settles as the promise does, or rejects with the signal's reason if that comes first. */
export function raceSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      // How it settles is nobody's concern any more.
      promise.catch(() => undefined);
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Resolves once the signal has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
