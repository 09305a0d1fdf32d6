import assert from 'node:assert/strict';
import { addPortVlan } from '../../../../src/kernel/netlink/bridge-vlans.ts';
import type { Message } from '../../../../src/kernel/netlink/codec.ts';
import { newRedirection } from '../../../../src/kernel/netlink/filters.ts';
import {
  ipvlanData,
  ipvlanMode,
  macvlanData,
  macvlanMode,
  vlanData,
  vlanId,
  vrfData,
  vrfTable,
} from '../../../../src/kernel/netlink/link-kinds.ts';
import { bridgeData, newLink, parseLink, type Link } from '../../../../src/kernel/netlink/links.ts';
import { newQdisc, parseQdisc, tbfOptions, tokenBucketOf } from '../../../../src/kernel/netlink/qdiscs.ts';
import { deleteRule, newRule, parseRule } from '../../../../src/kernel/netlink/rules.ts';
import { tapRequest } from '../../../../src/kernel/tap.ts';

/** Bytes as they are written in comments of the kernel's headers: groups of hexadecimal digits. */
function hex(...groups: readonly string[]): string {
  return groups.join('').replaceAll(' ', '');
}

function message(payload: Buffer): Message {
  return { type: 16, flags: 0, seq: 1, port: 0, payload };
}

function linkOf(kind: string, data: Buffer): Link {
  return parseLink(message(newLink({ name: 'x', kind, data }).payload));
}

/** Each line is a field or an attribute (length, type, value), little endian, as in the header that the test names. */
describe('requests, byte for byte', () => {
  it('linux/if_link.h: a VLAN is an ifinfomsg with the parent, and IFLA_INFO_DATA with IFLA_VLAN_ID', () => {
    const { payload, type, flags } = newLink({ name: 'v', kind: 'vlan', link: 7, data: vlanData(66) });
    assert.deepEqual([type, flags], [16, 0x600]);
    assert.equal(
      payload.toString('hex'),
      hex(
        '00 00 0000 00000000 00000000 00000000', // family, pad, type, index, flags, change
        '0600 0300 7600 0000', // IFLA_IFNAME "v"
        '0800 0500 07000000', // IFLA_LINK 7
        '1c00 1280', // IFLA_LINKINFO, nested
        '0900 0100 766c616e 00 000000', // IFLA_INFO_KIND "vlan"
        '0c00 0200 0600 0100 4200 0000', // IFLA_INFO_DATA: IFLA_VLAN_ID 66
      ),
    );
  });

  it('linux/if_link.h: modes of macvlan are u32, of ipvlan u16; a VRF has a table', () => {
    assert.equal(macvlanData({ mode: 'bridge' }).toString('hex'), hex('0800 0100 04000000'));
    assert.equal(
      macvlanData({ mode: 'passthru', broadcastQueue: 500 }).toString('hex'),
      hex('0800 0100 08000000', '0800 0700 f4010000'),
    );
    assert.equal(ipvlanData('l3s').toString('hex'), hex('0600 0100 0200 0000'));
    assert.equal(vrfData(1066).toString('hex'), hex('0800 0100 2a040000'));
    assert.equal(bridgeData({ vlanFiltering: true }).toString('hex'), hex('0500 0700 01 000000'));
  });

  it('reads back what it wrote of each kind', () => {
    assert.equal(macvlanMode(linkOf('macvlan', macvlanData({ mode: 'private' }))), 'private');
    assert.equal(ipvlanMode(linkOf('ipvlan', ipvlanData('l3'))), 'l3');
    assert.equal(vlanId(linkOf('vlan', vlanData(4094))), 4094);
    assert.equal(vrfTable(linkOf('vrf', vrfData(10))), 10);
    assert.equal(vrfTable(linkOf('vlan', vlanData(10))), undefined);
  });

  it('linux/if_bridge.h: a VLAN of a port is an IFLA_AF_SPEC with a bridge_vlan_info', () => {
    const { payload } = addPortVlan({ index: 3, id: 100 });
    assert.equal(
      payload.toString('hex'),
      hex(
        '07 00 0000 03000000 00000000 00000000', // AF_BRIDGE, index 3
        '0c00 1a80', // IFLA_AF_SPEC, nested
        '0800 0200 0000 6400', // IFLA_BRIDGE_VLAN_INFO: flags, id
      ),
    );
  });

  it('linux/fib_rules.h: a rule has its source, and its table in the header too when it fits', () => {
    assert.equal(
      newRule({ source: '10.0.0.5/32', table: 100 }).payload.toString('hex'),
      hex(
        '02 00 20 00 64 00 00 01 00000000', // family, dst_len, src_len, tos, table, two spare, action, flags
        '0800 0200 0a000005', // FRA_SRC
        '0800 0f00 64000000', // FRA_TABLE
      ),
    );
    const far = deleteRule({ source: 'fd00::1/128', table: 1000, priority: 5 }).payload;
    assert.deepEqual([far.readUInt8(0), far.readUInt8(2), far.readUInt8(4)], [10, 128, 0]);
    assert.deepEqual(parseRule(message(far)), {
      family: 10,
      source: 'fd00::1/128',
      priority: 5,
      table: 1000,
    });
  });

  it('linux/pkt_cls.h: a redirection is a u32 that matches anything, with mirred', () => {
    const { payload } = newRedirection({ index: 5, to: 9, parent: 0xffff_0000 });
    assert.equal(
      payload.toString('hex'),
      hex(
        '00 000000 05000000 00000000 0000ffff 00030100', // tcmsg: ifindex, handle, parent, priority 1 and ETH_P_ALL
        '0800 0100 75333200', // TCA_KIND "u32"
        '6800 0200', // TCA_OPTIONS
        '0800 0100 01000100', // TCA_U32_CLASSID 1:1
        '2400 0500', // TCA_U32_SEL
        '01 00 01 00 0000 0000 0000 0000 00000000', // terminal, one key
        '00000000 00000000 00000000 00000000', // mask 0
        '3800 0780 3400 0180', // TCA_U32_ACT, the first action
        '0b00 0100 6d69727265640000', // TCA_ACT_KIND "mirred"
        '2400 0280 2000 0200', // TCA_ACT_OPTIONS: TCA_MIRRED_PARMS
        '00000000 00000000 04000000 00000000 00000000', // index, capabilities, TC_ACT_STOLEN, counters
        '01000000 09000000', // TCA_EGRESS_REDIR, link 9
      ),
    );
  });

  it('linux/pkt_sched.h: a token bucket has its size in ticks, and a rate beyond 32 bits beside it', () => {
    const bucket = { rate: 1_000_000n, limit: 125_000, buffer: 1_562_500 };
    const { payload } = newQdisc({ index: 2, kind: 'tbf', handle: 0x1_0000, options: tbfOptions(bucket) });
    assert.deepEqual(tokenBucketOf(parseQdisc(message(payload))), bucket);
    const wide = { ...bucket, rate: 10_000_000_000n };
    const options = tbfOptions(wide);
    assert.equal(options.readUInt32LE(4 + 8), 0xffff_ffff);
    assert.deepEqual(tokenBucketOf({ index: 2, kind: 'tbf', handle: 0, parent: 0, options }), wide);
  });

  it('linux/if_tun.h: an ifreq with the name and the flags of a tap device', () => {
    const plain = tapRequest({ name: 'tap0', multiQueue: false });
    assert.equal(plain.length, 40);
    assert.deepEqual([plain.toString('latin1', 0, 5), plain.readUInt16LE(16)], ['tap0\0', 0x1002]);
    assert.equal(tapRequest({ name: 'tap0', multiQueue: true }).readUInt16LE(16), 0x1102);
    for (const name of ['', 'a'.repeat(16)]) {
      assert.throws(() => tapRequest({ name, multiQueue: false }), RangeError);
    }
  });
});
