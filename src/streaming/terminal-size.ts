import { Buffer } from 'node:buffer';
import type { TerminalSize } from './runtime.ts';

/** A size has some 30 characters; what is longer is none. */
const MAX_TEXT = 1024;
const MAX_SIDE = 0xffff;

/** The sizes that a client sends as JSON objects, one after the other, in whatever pieces. What is no size is passed over. */
export async function* terminalSizes(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<TerminalSize, void, undefined> {
  let text = '';
  for await (const chunk of input) {
    text += Buffer.from(chunk).toString('latin1');
    for (let end = text.indexOf('}'); end !== -1; end = text.indexOf('}')) {
      const size = sizeOf(text.slice(0, end + 1));
      text = text.slice(end + 1);
      if (size !== undefined) yield size;
    }
    text = text.slice(-MAX_TEXT);
  }
}

function sizeOf(json: string): TerminalSize | undefined {
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
