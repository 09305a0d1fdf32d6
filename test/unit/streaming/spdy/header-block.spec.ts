import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { constants, createDeflate, createInflate, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { headerDictionary } from '../../../../src/streaming/spdy/dictionary.ts';
import { type Headers, ProtocolError } from '../../../../src/streaming/spdy/frames.ts';
import { HeaderDecoder, HeaderEncoder } from '../../../../src/streaming/spdy/header-block.ts';

const name = fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.toLowerCase());
const headers = fc
  .array(fc.tuple(name, fc.string({ unit: 'grapheme', maxLength: 200 })), { maxLength: 12 })
  .map((pairs): Headers => new Map(pairs));

/** As zlib itself does it: one stream for all blocks, each flushed. */
async function streamed(
  zlib: ReturnType<typeof createDeflate> | ReturnType<typeof createInflate>,
  blocks: readonly Buffer[],
): Promise<Buffer[]> {
  const results: Buffer[] = [];
  let pieces: Buffer[] = [];
  zlib.on('data', (piece: Buffer) => pieces.push(piece));
  for (const block of blocks) {
    zlib.write(block);
    await new Promise<void>((resolve) => zlib.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    results.push(Buffer.concat(pieces));
    pieces = [];
  }
  zlib.close();
  return results;
}

function plain(of: Headers): Buffer {
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const strings = [...of].flat().flatMap((text) => [number(Buffer.byteLength(text)), Buffer.from(text)]);
  return Buffer.concat([number(of.size), ...strings]);
}

describe('SPDY header blocks', () => {
  it('have the dictionary of the protocol', () => {
    const dictionary = headerDictionary();
    assert.equal(dictionary.length, 1423);
    const hash = createHash('sha256').update(dictionary).digest('hex');
    assert.equal(hash, '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02');
  });

  it('come back as they were, one after the other', () => {
    fc.assert(
      fc.property(fc.array(headers, { minLength: 1, maxLength: 20 }), (blocks) => {
        const encoder = new HeaderEncoder();
        const decoder = new HeaderDecoder();
        for (const block of blocks) assert.deepEqual(decoder.decode(encoder.encode(block)), block);
      }),
    );
  });

  it('are one zlib stream, as a peer with a stream of its own reads it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(headers, { minLength: 1, maxLength: 20 }), async (blocks) => {
        const encoder = new HeaderEncoder();
        const encoded = blocks.map((block) => encoder.encode(block));
        const inflated = await streamed(createInflate({ dictionary: headerDictionary() }), encoded);
        assert.deepEqual(inflated, blocks.map(plain));
      }),
      { numRuns: 30 },
    );
  });

  it('are read from a peer that compresses with a stream of its own, at any level, far beyond its window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(headers, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 9 }),
        async (blocks, level) => {
          const deflate = createDeflate({ dictionary: headerDictionary(), level });
          const decoder = new HeaderDecoder();
          for (const [index, block] of (await streamed(deflate, blocks.map(plain))).entries())
            assert.deepEqual(decoder.decode(block), blocks[index]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('that are anything else are refused as such', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, wellBegun) => {
        const decoder = new HeaderDecoder();
        if (wellBegun) decoder.decode(new HeaderEncoder().encode(new Map([['a', 'b']])));
        const block = Buffer.concat([bytes, Buffer.from([0, 0, 0xff, 0xff])]);
        try {
          decoder.decode(wellBegun ? block : bytes);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
    );
  });

  it('that would be large are refused before they are', () => {
    const decoder = new HeaderDecoder();
    decoder.decode(new HeaderEncoder().encode(new Map()));
    const bomb = deflateRawSync(Buffer.alloc(64 << 20), { finishFlush: constants.Z_SYNC_FLUSH });
    assert.ok(bomb.length < 100_000);
    assert.throws(() => decoder.decode(bomb), ProtocolError);
  });

  for (const [what, text] of [
    [
      'a name twice',
      plain(new Map([['a', '1']]))
        .toString('latin1')
        .replace('\0\0\0\x01', '\0\0\0\x02') + '\0\0\0\x01a\0\0\0\x012',
    ],
    ['a name in capitals', plain(new Map([['Port', '1']])).toString('latin1')],
    ['no name', plain(new Map([['', '1']])).toString('latin1')],
    ['more than it says', `${plain(new Map()).toString('latin1')}more`],
    ['less than it says', '\0\0\0\x01\0\0\0\x09abc'],
    ['a count of billions', '\xff\xff\xff\xff'],
  ] as const) {
    it(`with ${what} are refused`, () => {
      const decoder = new HeaderDecoder();
      decoder.decode(new HeaderEncoder().encode(new Map()));
      const block = deflateRawSync(Buffer.from(text, 'latin1'), { finishFlush: constants.Z_SYNC_FLUSH });
      assert.throws(() => decoder.decode(block), ProtocolError);
    });
  }
});
