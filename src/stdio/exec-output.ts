import type { OutputStream } from './cri-log.ts';

/** What an ExecSync may bring back of each stream, as containerd and CRI-O limit it: a gRPC message has to hold both. */
export const EXEC_OUTPUT_BYTES = 16 * 1024 * 1024;

/** What a process wrote, each stream cut at the limit. */
export interface ExecOutput {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** How many bytes past the limit were read and thrown away. */
  readonly droppedBytes: number;
}

/** Keeps the first bytes of two streams and counts the rest: reading goes on, so that the process never blocks. */
export class ExecOutputCollector {
  readonly #outputs: Record<OutputStream, GrowingBytes>;
  #droppedBytes = 0;

  /** The limit is in bytes, of each stream. */
  constructor(limit: number = EXEC_OUTPUT_BYTES) {
    this.#outputs = { stdout: new GrowingBytes(limit), stderr: new GrowingBytes(limit) };
  }

  /** Takes a chunk, which may be used again afterwards. */
  write(stream: OutputStream, chunk: Uint8Array): void {
    this.#droppedBytes += chunk.length - this.#outputs[stream].append(chunk);
  }

  output(): ExecOutput {
    const { stdout, stderr } = this.#outputs;
    return { stdout: stdout.bytes(), stderr: stderr.bytes(), droppedBytes: this.#droppedBytes };
  }
}

/** Bytes in one piece of memory, however small the chunks are that they come in. */
class GrowingBytes {
  readonly #limit: number;
  #memory = new Uint8Array(0);
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes what the limit leaves room for, and returns how much that is. */
  append(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#limit - this.#length);
    const length = this.#length + taken;
    if (length > this.#memory.length) {
      const larger = new Uint8Array(Math.min(this.#limit, Math.max(length, 2 * this.#memory.length)));
      larger.set(this.#memory.subarray(0, this.#length));
      this.#memory = larger;
    }
    this.#memory.set(taken === chunk.length ? chunk : chunk.subarray(0, taken), this.#length);
    this.#length = length;
    return taken;
  }

  /** In memory of its own, not a shared pool's, so that it can be moved to another thread. */
  bytes(): Uint8Array {
    return this.#memory.slice(0, this.#length);
  }
}
