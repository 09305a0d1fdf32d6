import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Attributes,
  decodeAttributes,
  decodeMessages,
  decodeRaw,
  encodeAttributes,
  encodeMessage,
  formatMac,
  NetlinkFormatError,
  parseMac,
} from '../../../../src/kernel/netlink/codec.ts';

const TABLE = {
  one: [1, 'u8'],
  two: [2, 'u16'],
  network: [3, 'be16'],
  four: [4, 'u32'],
  signed: [5, 's32'],
  eight: [6, 'u64'],
  text: [7, 'string'],
  present: [8, 'flag'],
  raw: [9, 'bytes'],
  mac: [10, 'mac'],
  ip: [12, 'ip'],
  inner: [11, 'nest', { deep: [1, 'nest', { value: [1, 'u32'] }], text: [2, 'string'] }],
} as const;

const bytes = (constraints: fc.IntArrayConstraints): fc.Arbitrary<Buffer> =>
  fc.uint8Array(constraints).map((array) => Buffer.from(array));
const text = fc.string({ maxLength: 20 }).filter((value) => !value.includes('\0'));
const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });

const attributes: fc.Arbitrary<Attributes<typeof TABLE>> = fc.record(
  {
    one: uint(8),
    two: uint(16),
    network: uint(16),
    four: uint(32),
    signed: fc.integer(),
    eight: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    text,
    present: fc.constant(true as const),
    raw: bytes({ maxLength: 40 }),
    mac: bytes({ minLength: 6, maxLength: 6 }).map(formatMac),
    ip: fc.oneof(fc.constant('10.1.2.3'), fc.constant('fd00::1')),
    inner: fc.record(
      { deep: fc.record({ value: uint(32) }, { requiredKeys: [], noNullPrototype: true }), text },
      { requiredKeys: [], noNullPrototype: true },
    ),
    unknown: fc.array(
      fc.record(
        { type: fc.integer({ min: 20, max: 0x3fff }), bytes: bytes({ maxLength: 20 }) },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

describe('netlink codec', () => {
  it('decodes the attributes that it encoded', () => {
    fc.assert(
      fc.property(attributes, (values) => {
        assert.deepEqual(decodeAttributes(encodeAttributes(values, TABLE), TABLE), values);
      }),
    );
  });

  it('decodes the messages that it encoded, however many are in a datagram', () => {
    const message = fc.record(
      {
        type: uint(16),
        flags: uint(16),
        seq: uint(32),
        port: uint(32),
        payload: bytes({ maxLength: 60 }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        assert.deepEqual(decodeMessages(Buffer.concat(messages.map(encodeMessage))), messages);
      }),
    );
  });

  it('aligns to four bytes', () => {
    fc.assert(
      fc.property(attributes, (values) => {
        assert.equal(encodeAttributes(values, TABLE).length % 4, 0);
      }),
    );
  });

  it('answers any bytes with a value or a NetlinkFormatError', () => {
    fc.assert(
      fc.property(bytes({ maxLength: 200 }), (input) => {
        for (const decode of [() => decodeMessages(input), () => decodeAttributes(input, TABLE)]) {
          try {
            decode();
          } catch (error) {
            assert.ok(error instanceof NetlinkFormatError, String(error));
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('reads from cut attributes those before the cut, or refuses', () => {
    fc.assert(
      fc.property(attributes, fc.nat(), (values, at) => {
        const whole = encodeAttributes(values, TABLE);
        const cut = whole.subarray(0, whole.length === 0 ? 0 : at % whole.length);
        const all = decodeRaw(whole);
        try {
          const some = decodeRaw(cut);
          assert.deepEqual(some, all.slice(0, some.length));
        } catch (error) {
          assert.ok(error instanceof NetlinkFormatError);
        }
      }),
    );
  });

  it('refuses a message whose length is less than its header', () => {
    const message = encodeMessage({ type: 1, flags: 0, seq: 1, port: 0, payload: Buffer.alloc(8) });
    for (const length of [0, 1, 15]) {
      message.writeUInt32LE(length, 0);
      assert.throws(() => decodeMessages(message), NetlinkFormatError);
    }
  });

  it('refuses a message that claims to be longer than its datagram, and allocates nothing for it', () => {
    const message = encodeMessage({ type: 1, flags: 0, seq: 1, port: 0, payload: Buffer.alloc(8) });
    message.writeUInt32LE(0xffff_ffff, 0);
    assert.throws(() => decodeMessages(message), /message of 4294967295 bytes/);
  });

  it('refuses an attribute that claims to be longer than what is left, also a nested one', () => {
    const inner = encodeAttributes({ inner: { text: 'abc' } }, TABLE);
    inner.writeUInt16LE(60, 4);
    assert.throws(() => decodeAttributes(inner, TABLE), NetlinkFormatError);
  });

  it('keeps an attribute raw whose length does not fit its kind', () => {
    const wire = encodeAttributes({ raw: Buffer.from([1, 2, 3]) }, { raw: [4, 'bytes'] } as const);
    assert.deepEqual(decodeAttributes(wire, TABLE), {
      unknown: [{ type: 4, bytes: Buffer.from([1, 2, 3]) }],
    });
  });

  it('takes the last of an attribute that comes twice', () => {
    const once = (four: number): Buffer => encodeAttributes({ four }, TABLE);
    assert.equal(decodeAttributes(Buffer.concat([once(1), once(2)]), TABLE).four, 2);
  });

  it('ends text at its first NUL', () => {
    const wire = encodeAttributes({ raw: Buffer.from('eth0\0rest') }, { raw: [7, 'bytes'] } as const);
    assert.equal(decodeAttributes(wire, TABLE).text, 'eth0');
  });

  it('refuses to encode an attribute that is longer than its length field can say', () => {
    assert.throws(() => encodeAttributes({ raw: Buffer.alloc(0x10000) }, TABLE), /attribute raw is too long/);
  });

  it('refuses numbers that their kind cannot hold', () => {
    const refusal = (message: string) => ({ name: 'RangeError', message });
    assert.throws(() => encodeAttributes({ one: 256 }, TABLE), refusal('one 256 is not between 0 and 255'));
    assert.throws(
      () => encodeAttributes({ four: -1 }, TABLE),
      refusal('four -1 is not between 0 and 4294967295'),
    );
  });

  it('reads hardware addresses with colons and nothing else', () => {
    assert.deepEqual(parseMac('02:42:AC:11:00:02'), Buffer.from([0x02, 0x42, 0xac, 0x11, 0, 2]));
    for (const bad of ['02-42', '2:4', 'zz:00', '02:42:', ' 02']) {
      assert.throws(() => parseMac(bad), RangeError);
    }
  });
});
