import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  DhcpFormatError,
  type DhcpMessage,
  decodeMessage,
  encodeMessage,
  MessageType,
  Option,
} from '../../../../../src/network/plugins/ipam/dhcp/message.ts';

const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const ip = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'));
const mac = fc
  .uint8Array({ minLength: 0, maxLength: 16 })
  .map((bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':'));
const code = fc.integer({ min: 1, max: 254 }).filter((each) => each !== Option.overload);
const options = fc
  .array(fc.tuple(code, fc.uint8Array({ maxLength: 700 })), { maxLength: 8 })
  .map((entries) => new Map(entries.map(([each, value]) => [each, Buffer.from(value)])));

const message: fc.Arbitrary<DhcpMessage> = fc.record(
  {
    op: fc.constantFrom(1, 2),
    xid: uint(32),
    secs: uint(16),
    broadcast: fc.boolean(),
    ciaddr: ip,
    yiaddr: ip,
    siaddr: ip,
    giaddr: ip,
    chaddr: mac,
    options,
  },
  { noNullPrototype: true },
);

const plain: DhcpMessage = {
  op: 2,
  xid: 1,
  secs: 0,
  broadcast: false,
  ciaddr: '0.0.0.0',
  yiaddr: '10.0.0.9',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: '02:00:00:00:00:01',
  options: new Map(),
};

describe('DHCP messages', () => {
  it('come back from bytes as they went in, whatever their options', () => {
    fc.assert(
      fc.property(message, (given) => {
        assert.deepEqual(decodeMessage(encodeMessage(given)), given);
      }),
    );
  });

  it('are never shorter than BOOTP had them', () => {
    assert.equal(encodeMessage(plain).length, 300);
  });

  it('have the layout of RFC 2131', () => {
    const bytes = encodeMessage({
      ...plain,
      op: 1,
      xid: 0x01020304,
      broadcast: true,
      ciaddr: '10.0.0.7',
      options: new Map([[Option.messageType, Buffer.of(MessageType.request)]]),
    });
    assert.equal(bytes.subarray(0, 20).toString('hex'), '0101060001020304000080000a0000070a000009');
    assert.equal(bytes.subarray(28, 44).toString('hex'), '02000000000100000000000000000000');
    assert.equal(bytes.subarray(236, 244).toString('hex'), '63825363350103ff');
  });

  it('are read whole or not at all: no truncation is taken for a message that says something else', () => {
    fc.assert(
      fc.property(message, fc.double({ min: 0, max: 1, noNaN: true }), (given, share) => {
        const bytes = encodeMessage(given);
        try {
          const { options: read } = decodeMessage(bytes.subarray(0, Math.floor(share * bytes.length)));
          for (const [each, value] of read) {
            // A cut between two pieces of a long option leaves the first ones.
            assert.deepEqual(value, given.options.get(each)?.subarray(0, value.length));
          }
        } catch (error) {
          assert.ok(error instanceof DhcpFormatError, String(error));
        }
      }),
    );
  });

  it('from a hostile server end in a DhcpFormatError or in values, and in nothing else', () => {
    const head = encodeMessage(plain).subarray(0, 240);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.boolean(), (tail, isHeaded) => {
        try {
          decodeMessage(isHeaded ? Buffer.concat([head, tail]) : tail);
        } catch (error) {
          assert.ok(error instanceof DhcpFormatError, String(error));
        }
      }),
    );
  });

  it('may have options in the fields of file and server name (option 52)', () => {
    const bytes = encodeMessage({
      ...plain,
      options: new Map([
        [Option.overload, Buffer.of(3)],
        [Option.message, Buffer.from('one ')],
      ]),
    });
    bytes.set([Option.message, 4, ...Buffer.from('two '), Option.end, 9, 9], 108);
    bytes.set([Option.pad, Option.message, 5, ...Buffer.from('three'), Option.end], 44);
    const { options: read } = decodeMessage(bytes);
    assert.deepEqual([...read], [[Option.message, Buffer.from('one two three')]]);
  });

  it('leave those fields alone unless they are told of them', () => {
    const bytes = encodeMessage(plain);
    bytes.set([Option.message, 200, 1], 108);
    assert.equal(decodeMessage(bytes).options.size, 0);
  });
});
