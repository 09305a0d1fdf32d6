/** Stops the calling thread for so many milliseconds; for worker threads only. The thread can be ended meanwhile. */
export function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
