/**
 * The CRI log format: `<RFC3339Nano> <stdout|stderr> <P|F> <content>\n`. Tag F ends a line, P is a piece of one that goes on in
 * the stream's next record. A carriage return in front of a newline is dropped with it, as containerd does.
 */
export type OutputStream = 'stdout' | 'stderr';

const LF = 10;
const CR = 13;
const TAG_FULL = 70;
const TAG_PARTIAL = 80;
const ZERO = 48;
const NINE = 57;

const SECOND = 1_000_000_000n;
/** A clock that is slewed, or estimated, steps back by less; one that goes further back was set. */
const LONGEST_STEP_BACK = SECOND;
const MILLIS_PER_SECOND = 1_000;
/** Where in `2006-01-02T15:04:05.000000000Z` the fraction begins and where its last digit is. */
const FRACTION = 20;
const LAST_DIGIT = 28;

/** Without a limit a container could fill our memory with one line; past this a line is split in any case. */
export const LONGEST_LINE = 16 * 1024 * 1024;

/** Up to this many bytes a loop copies faster than a call to the engine's own copy. */
const SHORT_COPY = 48;

const MOST_KEPT = 1024 * 1024;

/** Bytes that grow at the end; its memory is kept and used again. */
export class ByteBuffer {
  bytes: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for so many bytes more. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    copy(source, start, end, this.bytes, this.length);
    this.length += end - start;
  }

  /** Empties it. Memory that only an unusual chunk needed is given back. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > MOST_KEPT) this.bytes = Buffer.allocUnsafeSlow(MOST_KEPT);
  }

  /** What is in it; valid until the next change. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

function copy(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  if (end - start > SHORT_COPY) {
    target.set(source.subarray(start, end), at);
    return;
  }
  for (let from = start, to = at; from < end; from += 1, to += 1) target[to] = source[from] ?? 0;
}

/**
 * Turns one stream's bytes into log records, in any chunking. An unfinished line is held until it is finished, is longer than the
 * limit, or the stream ends. Each record's time is later than the one before it, unless the clock was set back in between.
 */
export class CriLogEncoder {
  readonly #limit: number;
  /** Time, stream and tag of the next record. */
  readonly #header: Buffer;
  readonly #tagAt: number;
  #time = 0n;
  /** The unfinished line; at most the limit and a carriage return that may turn out to end it. */
  #held: ByteBuffer | undefined;

  /** maxLineSize counts bytes of content; below 1 lines are split only past LONGEST_LINE. */
  constructor(stream: OutputStream, maxLineSize: number) {
    this.#limit = maxLineSize < 1 ? LONGEST_LINE : Math.min(maxLineSize, LONGEST_LINE);
    this.#header = Buffer.from(`0000-00-00T00:00:00.000000000Z ${stream} F `);
    this.#tagAt = this.#header.length - 2;
  }

  /** How many bytes of an unfinished line are held. */
  get held(): number {
    return this.#held?.length ?? 0;
  }

  /** Appends the records that this chunk completes. nanos is the time of reading, in nanoseconds since the epoch. */
  encode(chunk: Uint8Array, nanos: bigint, out: ByteBuffer): void {
    this.#setTime(nanos);
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(LF, start);
      if (newline < 0) break;
      if (this.#held === undefined) this.#line(chunk, start, newline, out);
      else this.#finishHeld(this.#held, chunk, start, newline, out);
      start = newline + 1;
    }
    if (start < chunk.length) this.#hold(chunk, start, out);
  }

  /** The stream ended: what is held becomes a last partial record. */
  end(nanos: bigint, out: ByteBuffer): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#setTime(nanos);
    this.#held = undefined;
    const rest = this.#pieces(held.bytes, 0, held.length, out);
    this.#record(TAG_PARTIAL, held.bytes, rest, held.length, out);
  }

  #hold(chunk: Uint8Array, start: number, out: ByteBuffer): void {
    const held = this.#held ?? new ByteBuffer(Math.max(256, chunk.length - start));
    this.#held = held;
    held.append(chunk, start, chunk.length);
    const certain = held.bytes[held.length - 1] === CR ? held.length - 1 : held.length;
    const rest = this.#pieces(held.bytes, 0, certain, out);
    if (rest === 0) return;
    held.bytes.copyWithin(0, rest, held.length);
    held.length -= rest;
  }

  #finishHeld(held: ByteBuffer, chunk: Uint8Array, start: number, newline: number, out: ByteBuffer): void {
    held.append(chunk, start, newline);
    this.#held = undefined;
    this.#line(held.bytes, 0, held.length, out);
  }

  /** A whole line, its newline left out. */
  #line(bytes: Uint8Array, start: number, newline: number, out: ByteBuffer): void {
    const end = newline > start && bytes[newline - 1] === CR ? newline - 1 : newline;
    const rest = this.#pieces(bytes, start, end, out);
    this.#record(TAG_FULL, bytes, rest, end, out);
  }

  /** Writes full-size pieces as long as more follows; where the rest, never empty by splitting, begins. */
  #pieces(bytes: Uint8Array, start: number, end: number, out: ByteBuffer): number {
    let at = start;
    for (; end - at > this.#limit; at += this.#limit) {
      this.#record(TAG_PARTIAL, bytes, at, at + this.#limit, out);
    }
    return at;
  }

  #record(tag: number, bytes: Uint8Array, start: number, end: number, out: ByteBuffer): void {
    const header = this.#header;
    header[this.#tagAt] = tag;
    out.reserve(header.length + end - start + 1);
    copy(header, 0, header.length, out.bytes, out.length);
    copy(bytes, start, end, out.bytes, out.length + header.length);
    out.length += header.length + end - start + 1;
    out.bytes[out.length - 1] = LF;
    this.#advanceTime();
  }

  #setTime(nanos: bigint): void {
    if (nanos <= this.#time && this.#time - nanos <= LONGEST_STEP_BACK) return;
    this.#time = nanos;
    const fraction = Number(nanos % SECOND);
    const second = new Date(Number(nanos / SECOND) * MILLIS_PER_SECOND).toISOString();
    this.#header.write(second, 0, FRACTION, 'latin1');
    this.#header.write(String(fraction).padStart(9, '0'), FRACTION, 'latin1');
  }

  /** One nanosecond on: in place, since this happens for every record. */
  #advanceTime(): void {
    this.#time += 1n;
    const header = this.#header;
    for (let at = LAST_DIGIT; at >= FRACTION; at -= 1) {
      const digit = header[at] ?? NINE;
      if (digit < NINE) {
        header[at] = digit + 1;
        return;
      }
      header[at] = ZERO;
    }
    const second = new Date(Number(this.#time / SECOND) * MILLIS_PER_SECOND).toISOString();
    header.write(second, 0, FRACTION, 'latin1');
  }
}
