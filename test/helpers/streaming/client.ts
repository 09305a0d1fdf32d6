/** What tests and benchmarks use as a client of Exec, Attach and PortForward, whatever it speaks. */
import type { IncomingHttpHeaders } from 'node:http';
import { BerthError } from '../../../src/lib/errors.ts';
import type { ByteChannel } from '../../../src/streaming/channel.ts';

export interface CommandOptions {
  readonly protocols?: readonly string[];
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly tty?: boolean;
}

export interface Command {
  readonly stdout: AsyncIterable<Uint8Array> | undefined;
  readonly stderr: AsyncIterable<Uint8Array> | undefined;
  /** What came on the error channel; '' when the connection was lost before. */
  readonly status: Promise<string>;
  write(bytes: string | Uint8Array): Promise<void>;
  endStdin(): Promise<void>;
  resize(width: number, height: number): Promise<void>;
  ping(): void;
  close(): Promise<void>;
  /** What the server sees of a client that was killed. */
  destroy(): void;
  readonly gone: Promise<void>;
}

export interface PortStreams {
  readonly data: ByteChannel;
  /** What came on the error channel; '' when all was well. */
  readonly failure: Promise<string>;
  reset(): void;
}

/** The server did not upgrade. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: number;
  readonly headers: IncomingHttpHeaders;

  constructor(code: number, text: string, headers: IncomingHttpHeaders) {
    super(`${code}: ${text.trim()}`);
    this.code = code;
    this.headers = headers;
  }
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(chunk);
  return Buffer.concat(all);
}

export async function textOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  return (await bytesOf(chunks)).toString();
}

/** To its end, or to the stream's reset: Go's clients take both for the end, and Go's servers rely on that. */
export async function textUntilLost(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  try {
    for await (const chunk of chunks) all.push(chunk);
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== 'CANCELLED') throw error;
  }
  return Buffer.concat(all).toString();
}

/** Waits until so much text has come, and returns it; what the other side ends before that is all there is. */
export async function textUntil(
  chunks: AsyncIterable<Uint8Array> | undefined,
  expected: RegExp,
): Promise<string> {
  const iterator = chunks?.[Symbol.asyncIterator]();
  let text = '';
  // By hand: a loop that is left would end the stream.
  while (!expected.test(text)) {
    const next = await iterator?.next();
    if (next === undefined || next.done === true) break;
    text += Buffer.from(next.value).toString();
  }
  return text;
}
