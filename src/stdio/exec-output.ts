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
  readonly #limit: number;
  readonly #chunks: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  readonly #lengths: Record<OutputStream, number> = { stdout: 0, stderr: 0 };
  #droppedBytes = 0;

  /** The limit is in bytes, of each stream. */
  constructor(limit: number = EXEC_OUTPUT_BYTES) {
    this.#limit = limit;
  }

  /** Takes a chunk, which may be used again afterwards. */
  write(stream: OutputStream, chunk: Uint8Array): void {
    const taken = Math.min(chunk.length, this.#limit - this.#lengths[stream]);
    this.#droppedBytes += chunk.length - taken;
    if (taken === 0) return;
    this.#chunks[stream].push(Buffer.from(chunk.subarray(0, taken)));
    this.#lengths[stream] += taken;
  }

  output(): ExecOutput {
    return {
      stdout: this.#joined('stdout'),
      stderr: this.#joined('stderr'),
      droppedBytes: this.#droppedBytes,
    };
  }

  /** In memory of its own, not a shared pool's, so that it can be moved to another thread. */
  #joined(stream: OutputStream): Uint8Array {
    const joined = new Uint8Array(this.#lengths[stream]);
    let at = 0;
    for (const chunk of this.#chunks[stream]) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }
}
