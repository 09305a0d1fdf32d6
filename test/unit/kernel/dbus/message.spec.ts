import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  DbusFormatError,
  decodeBody,
  decodeMessage,
  encodeCall,
  messageLength,
  PREFIX_LENGTH,
} from '../../../../src/kernel/dbus/message.ts';

const call = {
  destination: 'org.example.Service',
  path: '/org/example',
  interface: 'org.example.Zone',
  member: 'add',
};

/** Without NUL, and without halves of surrogate pairs, which UTF-8 cannot hold. */
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
const args = fc.array(fc.oneof(text, fc.boolean()), { maxLength: 8 });

/** An answer as a big-endian machine would send it: error "e.X" to call 7, saying "no". */
const bigEndianError = Buffer.concat([
  Buffer.from('B\x03\x01\x01\0\0\0\x07\0\0\0\x01\0\0\0\x1f', 'latin1'),
  Buffer.from('\x04\x01s\0\0\0\0\x03e.X\0\0\0\0\0', 'latin1'),
  Buffer.from('\x05\x01u\0\0\0\0\x07', 'latin1'),
  Buffer.from('\x08\x01g\0\x01s\0', 'latin1'),
  Buffer.from('\0\0\0\0\x02no\0', 'latin1'),
]);

describe('D-Bus messages', () => {
  it('come back as they were written, whatever the arguments', () => {
    fc.assert(
      fc.property(args, fc.integer({ min: 1, max: 0xffff_ffff }), (values, serial) => {
        const bytes = encodeCall({ ...call, args: values }, serial);
        assert.equal(messageLength(bytes.subarray(0, PREFIX_LENGTH)), bytes.length);
        assert.equal(bytes.readUInt32LE(8), serial);
        const message = decodeMessage(bytes);
        assert.equal(message.type, 1);
        assert.deepEqual(decodeBody(message), values);
      }),
    );
  });

  it('are written byte by byte as the specification says', () => {
    const bytes = encodeCall(
      { destination: 'd', path: '/', interface: 'i', member: 'm', args: ['x', true] },
      5,
    );
    const expected = [
      'l\x01\x02\x01\x0c\0\0\0\x05\0\0\0\x48\0\0\0',
      '\x01\x01o\0\x01\0\0\0/\0\0\0\0\0\0\0',
      '\x02\x01s\0\x01\0\0\0i\0\0\0\0\0\0\0',
      '\x03\x01s\0\x01\0\0\0m\0\0\0\0\0\0\0',
      '\x06\x01s\0\x01\0\0\0d\0\0\0\0\0\0\0',
      '\x08\x01g\0\x02sb\0',
      '\x01\0\0\0x\0\0\0\x01\0\0\0',
    ].join('');
    assert.equal(bytes.toString('latin1'), expected);
  });

  it('are read in either byte order', () => {
    const message = decodeMessage(bigEndianError);
    assert.deepEqual(
      [message.type, message.errorName, message.replySerial, decodeBody(message)],
      [3, 'e.X', 7, ['no']],
    );
  });

  it('that are cut anywhere, or have any bytes changed, are refused or read, and never more than that', () => {
    const bytes = encodeCall({ ...call, args: ['trusted', '10.0.0.2/32', true] }, 1);
    const read = (input: Buffer): void => {
      try {
        decodeBody(decodeMessage(input));
      } catch (error) {
        assert.ok(error instanceof DbusFormatError, String(error));
      }
    };
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeMessage(bytes.subarray(0, length)), DbusFormatError);
    }
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        read(changed);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (random) => read(Buffer.from(random))));
  });

  it('of more than a megabyte are refused by their first bytes', () => {
    const prefix = encodeCall({ ...call, args: [] }, 1).subarray(0, PREFIX_LENGTH);
    prefix.writeUInt32LE(0xffff_fff0, 4);
    assert.throws(() => messageLength(prefix), { message: /^D-Bus message of 4294967\d+ bytes$/ });
  });

  it('never hold a NUL within a string', () => {
    assert.throws(() => encodeCall({ ...call, args: ['a\0b'] }, 1), DbusFormatError);
  });
});
