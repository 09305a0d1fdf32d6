import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeFrame, encodeFrame } from '../../../../../src/network/plugins/ipam/dhcp/frame.ts';

const ends = {
  sourceMac: '02:00:00:00:00:01',
  destinationMac: 'ff:ff:ff:ff:ff:ff',
  source: '10.0.0.1',
  destination: '255.255.255.255',
};

/** What a server sends: the same frame with the ports changed over, which leaves its checksum as it is. */
function fromServer(payload: Uint8Array): Buffer {
  const frame = encodeFrame(ends, payload);
  frame.writeUInt16BE(67, 34);
  frame.writeUInt16BE(68, 36);
  return frame;
}

/** The sum of the pseudo header of such a frame. */
function pseudoSumOf(bytes: number): number {
  const total = (10 << 8) + 1 + 0xffff + 0xffff + 17 + 8 + bytes;
  return (total & 0xffff) + (total >> 16);
}

const payload = fc.uint8Array({ maxLength: 1400 });

describe('DHCP frames', () => {
  it('carry any message from its sender to its receiver', () => {
    fc.assert(
      fc.property(payload, (bytes) => {
        assert.deepEqual(decodeFrame(fromServer(bytes)), { ...ends, payload: Buffer.from(bytes) });
      }),
    );
  });

  it('are as RFC 791 and RFC 768 have them', () => {
    const frame = encodeFrame({ ...ends, source: '0.0.0.0' }, Buffer.from('hi!'));
    assert.equal(
      frame.toString('hex'),
      'ffffffffffff020000000001' +
        '0800' +
        '4500001f000000004011' +
        '7acf' +
        '00000000ffffffff' +
        '00440043000b' +
        '75e8' +
        '686921',
    );
  });

  it('may be padded by Ethernet', () => {
    const bytes = Buffer.concat([fromServer(Buffer.from('abc')), Buffer.alloc(20, 0xee)]);
    assert.deepEqual(decodeFrame(bytes)?.payload.toString(), 'abc');
  });

  it('count when a server on this machine left the checksum to a card that does not exist', () => {
    const frame = fromServer(Buffer.from('abcd'));
    frame.writeUInt16BE(pseudoSumOf(4), 40);
    assert.ok(decodeFrame(frame));
    frame.writeUInt16BE(0, 40);
    assert.ok(decodeFrame(frame));
  });

  it('that are damaged on their way are nobody’s', () => {
    fc.assert(
      fc.property(payload, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
        const frame = fromServer(bytes);
        // The header of IP, and what UDP carries: checksums that say that there is none are another matter.
        const places = [...frame.keys()].filter((index) => (index >= 14 && index < 34) || index >= 42);
        const index = places[at % places.length] ?? 14;
        frame[index] = (frame[index] ?? 0) ^ flip;
        fc.pre(index < 34 || frame.readUInt16BE(40) !== pseudoSumOf(bytes.length));
        assert.equal(decodeFrame(frame), undefined, `byte ${index}`);
      }),
    );
  });

  it('that are cut short, of other protocols, fragments or sent to others are nobody’s', () => {
    const frame = fromServer(Buffer.from('abcdef'));
    for (let length = 0; length < frame.length; length += 1) {
      assert.equal(decodeFrame(frame.subarray(0, length)), undefined, `${length} bytes`);
    }
    assert.equal(decodeFrame(encodeFrame(ends, Buffer.from('abcdef'))), undefined, 'to a server');
  });

  it('of whatever bytes do no harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1600 }), (bytes) => {
        assert.equal(
          decodeFrame(Buffer.concat([Buffer.from(bytes).subarray(0, 12), Buffer.from(bytes)])),
          undefined,
        );
      }),
    );
  });
});
