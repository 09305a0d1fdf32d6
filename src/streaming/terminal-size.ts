import { Buffer } from 'node:buffer';
import type { TerminalSize } from './runtime.ts';

/** A size has some 30 characters; what is longer is none. */
const MAX_TEXT = 1024;
const MAX_SIDE = 0xffff;

/**
 * The sizes that a client sends as JSON objects, one after the other, in whatever pieces. Of those that come in one piece the last: it is
 * what the terminal is, and a flood of others costs nothing. What is no size is passed over.
 */
export async function* terminalSizes(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<TerminalSize, void, undefined> {
  let text = '';
  for await (const chunk of input) {
    text = (text + Buffer.from(chunk.subarray(-MAX_TEXT)).toString('latin1')).slice(-MAX_TEXT);
    const end = text.lastIndexOf('}') + 1;
    const size = sizeOf(text.slice(Math.max(0, text.lastIndexOf('{', end - 1)), end));
    text = text.slice(end);
    if (size !== undefined) yield size;
  }
}

function sizeOf(json: string): TerminalSize | undefined {
  if (json === '') return undefined;
  try {
    const { Width: width, Height: height } = JSON.parse(json) as Record<string, unknown>;
    return isSide(width) && isSide(height) ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

function isSide(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_SIDE;
}
