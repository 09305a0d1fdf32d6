import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseAddress } from '../../../../src/kernel/netlink/addresses.ts';
import { addPortVlan } from '../../../../src/kernel/netlink/bridge-vlans.ts';
import { type Message, NetlinkFormatError } from '../../../../src/kernel/netlink/codec.ts';
import { changeLink, newLink, parseLink, vethData, vxlanData } from '../../../../src/kernel/netlink/links.ts';
import { parseNeighbour } from '../../../../src/kernel/netlink/neighbours.ts';
import { parseQdisc } from '../../../../src/kernel/netlink/qdiscs.ts';
import { newRoute, parseRoute } from '../../../../src/kernel/netlink/routes.ts';

function message(payload: Uint8Array): Message {
  return { type: 16, flags: 0, seq: 1, port: 0, payload: Buffer.from(payload) };
}

describe('rtnetlink objects', () => {
  for (const parse of [parseLink, parseAddress, parseRoute, parseNeighbour, parseQdisc]) {
    it(`${parse.name} answers any bytes with an object or a NetlinkFormatError`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 120 }), (payload) => {
          try {
            parse(message(payload));
          } catch (error) {
            assert.ok(error instanceof NetlinkFormatError, String(error));
          }
        }),
        { numRuns: 500 },
      );
    });
  }

  it('reads back from a request what it says of a link', () => {
    const request = newLink({
      name: 'eth0',
      kind: 'veth',
      mtu: 1400,
      mac: '02:00:00:00:00:01',
      master: 7,
      up: true,
      alias: 'a pod',
    });
    const link = parseLink(message(request.payload));
    assert.deepEqual(
      {
        name: link.name,
        kind: link.kind,
        mtu: link.mtu,
        mac: link.mac,
        master: link.master,
        flags: link.flags,
        alias: link.alias,
      },
      {
        name: 'eth0',
        kind: 'veth',
        mtu: 1400,
        mac: '02:00:00:00:00:01',
        master: 7,
        flags: 1,
        alias: 'a pod',
      },
    );
  });

  it('asks only for the flags that are to change', () => {
    const { payload } = changeLink(5, { up: false, promiscuous: true });
    assert.deepEqual(
      [payload.readInt32LE(4), payload.readUInt32LE(8), payload.readUInt32LE(12)],
      [5, 0x100, 0x101],
    );
  });

  it('takes a link out of its master with 0', () => {
    assert.equal(parseLink(message(changeLink(5, { master: 0 }).payload)).master, 0);
    assert.ok(changeLink(5, { master: 0 }).payload.length > changeLink(5, {}).payload.length);
  });

  it('refuses addresses of hardware and network that are none', () => {
    assert.throws(() => vethData({ name: 'eth0', mac: 'nonsense' }), RangeError);
    assert.throws(() => vxlanData({ id: 1, local: 'nonsense' }), RangeError);
    assert.throws(() => newRoute({ destination: '10.0.0.0', index: 1 }), RangeError);
  });

  it('puts a table beyond 255 into its attribute', () => {
    const route = parseRoute(
      message(
        newRoute({ destination: '10.0.0.0/8', index: 1, table: 1000, mtu: 1400, advmss: 1300 }).payload,
      ),
    );
    assert.deepEqual(
      { table: route.table, mtu: route.mtu, advmss: route.advmss },
      { table: 1000, mtu: 1400, advmss: 1300 },
    );
  });

  it('writes a VLAN of a port as flags and id', () => {
    const { payload } = addPortVlan({ index: 3, id: 100, pvid: true, untagged: true });
    assert.equal(payload.subarray(-4).toString('hex'), '06006400');
  });
});
