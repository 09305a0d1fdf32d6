import type { Address } from '../../address.ts';

/** Addresses of one chunk, as bits of an array of 32-bit words. */
const CHUNK_BITS = 10n;
const CHUNK_SIZE = 1 << Number(CHUNK_BITS);
const CHUNK_MASK = BigInt(CHUNK_SIZE - 1);

interface Chunk {
  readonly words: Uint32Array;
  count: number;
}

/**
 * A set of addresses that finds the next absent one quickly: sparse bitmaps of 1024 addresses each, of which full ones are
 * skipped whole. Small for a /16 that is nearly full as for an IPv6 /64 that is nearly empty.
 */
export class AddressSet {
  private readonly chunks = { 4: new Map<bigint, Chunk>(), 6: new Map<bigint, Chunk>() };

  has(address: Address): boolean {
    const chunk = this.chunks[address.family].get(address.value >> CHUNK_BITS);
    return chunk !== undefined && isSet(chunk, Number(address.value & CHUNK_MASK));
  }

  add(address: Address): void {
    const at = address.value >> CHUNK_BITS;
    const chunks = this.chunks[address.family];
    const chunk = chunks.get(at) ?? { words: new Uint32Array(CHUNK_SIZE / 32), count: 0 };
    const bit = Number(address.value & CHUNK_MASK);
    if (isSet(chunk, bit)) return;
    flip(chunk, bit);
    chunk.count += 1;
    chunks.set(at, chunk);
  }

  delete(address: Address): void {
    const at = address.value >> CHUNK_BITS;
    const chunk = this.chunks[address.family].get(at);
    const bit = Number(address.value & CHUNK_MASK);
    if (chunk === undefined || !isSet(chunk, bit)) return;
    flip(chunk, bit);
    chunk.count -= 1;
    if (chunk.count === 0) this.chunks[address.family].delete(at);
  }

  /** The lowest address between from and to, both included and of one family, that is not in the set. */
  firstAbsent(from: Address, to: Address): Address | undefined {
    const chunks = this.chunks[from.family];
    let value = from.value;
    while (value <= to.value) {
      const at = value >> CHUNK_BITS;
      const chunk = chunks.get(at);
      const bit =
        chunk === undefined ? Number(value & CHUNK_MASK) : firstClear(chunk, Number(value & CHUNK_MASK));
      if (bit < CHUNK_SIZE) {
        const found = (at << CHUNK_BITS) | BigInt(bit);
        return found <= to.value ? { family: from.family, value: found } : undefined;
      }
      value = (at + 1n) << CHUNK_BITS;
    }
    return undefined;
  }
}

function isSet({ words }: Chunk, bit: number): boolean {
  return ((words[bit >> 5] ?? 0) & (1 << (bit & 31))) !== 0;
}

function flip({ words }: Chunk, bit: number): void {
  words[bit >> 5] = (words[bit >> 5] ?? 0) ^ (1 << (bit & 31));
}

function firstClear(chunk: Chunk, from: number): number {
  if (chunk.count === CHUNK_SIZE) return CHUNK_SIZE;
  for (let bit = from; bit < CHUNK_SIZE; bit += 1) {
    if (!isSet(chunk, bit)) return bit;
  }
  return CHUNK_SIZE;
}
