import assert from 'node:assert/strict';
import { encodeAttributes, type Message } from '../../../../src/kernel/netlink/codec.ts';
import { parseInterface } from '../../../../src/pod/stats/interfaces.ts';

const UP = 0x1;
const LOOPBACK = 0x8;

/** An RTM_NEWLINK as the kernel sends it, with the first counters of rtnl_link_stats64. */
function link(name: string, flags: number, counters: bigint[]): Message {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(flags, 8);
  const stats = Buffer.concat(
    counters.map((value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(value);
      return bytes;
    }),
  );
  const table = { name: [3, 'string'], stats: [23, 'bytes'] } as const;
  const payload = Buffer.concat([header, encodeAttributes({ name, stats }, table)]);
  return { type: 16, flags: 0, seq: 1, port: 0, payload };
}

describe('the counters of an interface', () => {
  const counters = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 2n ** 64n - 1n, 9n, 10n];

  it('are read in the order of the kernel, in full width', () => {
    assert.deepEqual(parseInterface(link('eth0', UP, counters)), {
      name: 'eth0',
      rxPackets: 1n,
      txPackets: 2n,
      rxBytes: 3n,
      txBytes: 4n,
      rxErrors: 5n,
      txErrors: 6n,
      rxDropped: 7n,
      txDropped: 2n ** 64n - 1n,
    });
  });

  it('are none for loopback, and none when they are cut', () => {
    assert.equal(parseInterface(link('lo', UP | LOOPBACK, counters)), undefined);
    assert.equal(parseInterface(link('eth0', UP, counters.slice(0, 7))), undefined);
  });
});
