import assert from 'node:assert/strict';
import fc from 'fast-check';
import { dataHead, FrameDecoder, FrameEncoder } from '../../../../src/streaming/spdy/codec.ts';
import {
  type ControlFrame,
  type Frame,
  type Headers,
  ProtocolError,
} from '../../../../src/streaming/spdy/frames.ts';

const id = fc.integer({ min: 1, max: 0x7fff_ffff });
const uint32 = fc.nat({ max: 0xffff_ffff });
const headers = fc
  .dictionary(fc.stringMatching(/^[a-z-]{1,12}$/), fc.string({ maxLength: 40 }), { maxKeys: 6 })
  .map((object): Headers => new Map(Object.entries(object)));

const control: fc.Arbitrary<ControlFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('syn-stream' as const),
    streamId: id,
    fin: fc.boolean(),
    unidirectional: fc.boolean(),
    headers,
  }),
  fc.record({
    kind: fc.constantFrom('syn-reply' as const, 'headers' as const),
    streamId: id,
    fin: fc.boolean(),
    headers,
  }),
  fc.record({ kind: fc.constant('rst-stream' as const), streamId: id, status: uint32 }),
  fc.record({
    kind: fc.constant('settings' as const),
    values: fc
      .array(fc.tuple(fc.nat({ max: 0xff_ffff }), uint32), { maxLength: 5 })
      .map((pairs) => new Map(pairs)),
  }),
  fc.record({ kind: fc.constant('ping' as const), id: uint32 }),
  fc.record({
    kind: fc.constant('go-away' as const),
    lastStreamId: fc.nat({ max: 0x7fff_ffff }),
    status: uint32,
  }),
  fc.record({
    kind: fc.constant('window-update' as const),
    streamId: fc.nat({ max: 0x7fff_ffff }),
    delta: id,
  }),
);

const data = fc
  .record({ streamId: id, bytes: fc.uint8Array({ maxLength: 3_000 }), fin: fc.boolean() })
  .map((frame): Frame => ({ kind: 'data', ...frame }));

const plainControl = control.map((frame) => ({ ...frame }));

const frames = fc.array(fc.oneof(plainControl, data), { maxLength: 20 });

function encode(list: readonly Frame[]): Buffer {
  const encoder = new FrameEncoder();
  return Buffer.concat(
    list.flatMap((frame) =>
      frame.kind === 'data'
        ? [dataHead(frame.streamId, frame.bytes.length, frame.fin), frame.bytes]
        : [encoder.encode(frame)],
    ),
  );
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((one) => one % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

function decode(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap((chunk) => [...decoder.push(chunk)]);
}

/** Pieces of one DATA frame put together again: only the last can say that it is the end. */
function merged(list: readonly Frame[], originals: readonly Frame[]): Frame[] {
  const rest = [...list];
  return originals.map((original) => {
    const frame = rest.shift();
    assert.ok(frame);
    if (frame.kind !== 'data' || original.kind !== 'data') return frame;
    let { bytes, fin } = frame;
    while (bytes.length < original.bytes.length) {
      const next = rest.shift();
      assert.ok(next?.kind === 'data' && !fin && next.streamId === frame.streamId);
      bytes = Buffer.concat([bytes, next.bytes]);
      fin = next.fin;
    }
    return { ...frame, bytes: Uint8Array.from(bytes), fin };
  });
}

describe('SPDY frames', () => {
  it('come back as they were, in whatever pieces their bytes come', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (list, cuts) => {
        assert.deepEqual(merged(decode(cut(encode(list), cuts)), list), list);
      }),
    );
  });

  it('come back as they were byte by byte', () => {
    fc.assert(
      fc.property(fc.array(plainControl, { maxLength: 6 }), (list) => {
        assert.deepEqual(decode([...encode(list)].map((byte) => Buffer.from([byte]))), list);
      }),
      { numRuns: 30 },
    );
  });

  it('that are cut short are waited for', () => {
    fc.assert(
      fc.property(control, fc.nat(), (frame, at) => {
        const bytes = encode([frame]);
        assert.deepEqual(decode([bytes.subarray(0, at % bytes.length)]), []);
      }),
    );
  });

  it('of hostile bytes are frames or a ProtocolError, and nothing else', () => {
    fc.assert(
      fc.property(
        frames,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 8 }),
        (list, flips) => {
          const bytes = encode(list);
          for (const [at, value] of flips) if (bytes.length > 0) bytes[at % bytes.length] = value;
          try {
            decode([bytes]);
          } catch (error) {
            assert.ok(error instanceof ProtocolError, String(error));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of noise are frames or a ProtocolError, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
        try {
          decode(chunks.map((chunk) => Buffer.from(chunk)));
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are byte for byte those of the protocol', () => {
    const encoder = new FrameEncoder();
    const hex = (frame: ControlFrame): string => encoder.encode(frame).toString('hex');
    assert.equal(hex({ kind: 'ping', id: 1 }), '800300060000000400000001');
    assert.equal(hex({ kind: 'go-away', lastStreamId: 5, status: 0 }), '80030007000000080000000500000000');
    assert.equal(hex({ kind: 'rst-stream', streamId: 3, status: 5 }), '80030003000000080000000300000005');
    assert.equal(hex({ kind: 'window-update', streamId: 3, delta: 9 }), '80030009000000080000000300000009');
    assert.equal(
      hex({ kind: 'settings', values: new Map([[7, 65_536]]) }),
      '800300040000000c000000010000000700010000',
    );
    assert.equal(dataHead(7, 3, true).toString('hex'), '0000000701000003');
    const syn = encoder.encode({
      kind: 'syn-stream',
      streamId: 1,
      fin: true,
      unidirectional: false,
      headers: new Map(),
    });
    assert.equal(syn.subarray(0, 5).toString('hex'), '8003000101');
    // A zlib stream that names the dictionary.
    assert.equal(syn.subarray(8, 24).toString('hex'), '0000000100000000000078bbe3c6a7c2');
  });

  it('of a type that is not known are passed over, however long', () => {
    const unknown = Buffer.from('800300ff00ffffff', 'hex');
    const body = Buffer.alloc(0xff_ffff);
    const ping = new FrameEncoder().encode({ kind: 'ping', id: 7 });
    assert.deepEqual(decode([unknown, body.subarray(0, 1_000), body.subarray(1_000), ping]), [
      { kind: 'ping', id: 7 },
    ]);
  });

  for (const [what, hex] of [
    ['of another version', '8002000600000004'],
    ['that are longer than any control frame', '8003000100010001'],
    ['DATA for stream 0', '0000000000000000'],
    ['SETTINGS that are shorter than they say', '800300040000000400000001'],
    ['a PING that is too long', '80030006000000080000000100000001'],
    ['a WINDOW_UPDATE of nothing', '80030009000000080000000100000000'],
    ['a SYN_STREAM without a stream', '80030001000000020000'],
  ] as const) {
    it(`${what} are refused`, () => {
      assert.throws(() => decode([Buffer.from(hex, 'hex')]), ProtocolError);
    });
  }
});
