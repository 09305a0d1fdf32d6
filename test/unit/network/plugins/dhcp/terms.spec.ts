import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Option } from '../../../../../src/network/plugins/ipam/dhcp/message.ts';
import {
  backoff,
  nextRequestAt,
  phaseAt,
  resultOf,
  timesOf,
} from '../../../../../src/network/plugins/ipam/dhcp/terms.ts';
import { seconds } from '../../../../fakes/dhcp-lan.ts';

const { leaseTime, renewalTime, rebindingTime } = Option;
const times = (...options: (readonly [number, Uint8Array])[]): number[] => {
  const { renewAt, rebindAt, expireAt } = timesOf(new Map(options), 0);
  return [renewAt, rebindAt, expireAt].map((ms) => ms / 1_000);
};

describe('terms of a DHCP lease', () => {
  it('T1 and T2 are what the server says, and half and 85 % of the lease when it says nothing', () => {
    assert.deepEqual(times(seconds(leaseTime, 1_000)), [500, 850, 1_000]);
    const all = [seconds(leaseTime, 1_000), seconds(renewalTime, 100), seconds(rebindingTime, 900)];
    assert.deepEqual(times(...all), [100, 900, 1_000]);
  });

  it('T1 and T2 that make no sense are not believed', () => {
    const late = [seconds(leaseTime, 1_000), seconds(renewalTime, 950), seconds(rebindingTime, 2_000)];
    assert.deepEqual(times(...late), [500, 850, 1_000]);
    const early = [seconds(leaseTime, 1_000), seconds(renewalTime, 0), seconds(rebindingTime, 10)];
    assert.deepEqual(times(...early), [10, 10, 1_000]);
  });

  it('a lease without a time is for an hour, one without an end for ever, and none shorter than is bearable', () => {
    assert.deepEqual(times(), [1_800, 3_060, 3_600]);
    assert.equal(phaseAt(timesOf(new Map([seconds(leaseTime, 0xffff_ffff)]), 0), 1e15), 'bound');
    assert.deepEqual(times(seconds(leaseTime, 0)), [1, 1.7, 2]);
  });

  it('whatever a server says, the times are in order, and the next request is at the end of a phase at the latest', () => {
    const number = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(
        number,
        number,
        number,
        fc.double({ min: 0, max: 1.2, noNaN: true }),
        (lease, t1, t2, share) => {
          const options = [seconds(leaseTime, lease), seconds(renewalTime, t1), seconds(rebindingTime, t2)];
          const all = timesOf(new Map(options), 5_000);
          assert.ok(5_000 <= all.renewAt && all.renewAt <= all.rebindAt && all.rebindAt <= all.expireAt);
          const now = 5_000 + share * (all.expireAt - 5_000);
          const next = nextRequestAt(all, now);
          assert.ok(next >= now && (next <= all.expireAt || now >= all.expireAt));
        },
      ),
    );
  });

  it('requests come at half of what remains, not within a minute (RFC 2131, 4.4.5)', () => {
    const all = { renewAt: 1_000_000, rebindAt: 2_000_000, expireAt: 2_100_000 };
    assert.equal(nextRequestAt(all, 0), 1_000_000);
    assert.equal(nextRequestAt(all, 1_000_000), 1_500_000);
    assert.equal(nextRequestAt(all, 1_900_000), 1_960_000);
    assert.equal(nextRequestAt(all, 1_990_000), 2_000_000);
    assert.equal(nextRequestAt(all, 2_000_000), 2_060_000);
    assert.equal(nextRequestAt(all, 2_060_000), 2_100_000);
  });

  it('an unanswered message is sent again after 4, 8, 16, 32 and 64 seconds, a second more or less (RFC 2131, 4.1)', () => {
    const first = (random: number, count: number): number[] => {
      const delays = backoff({ random: () => random });
      return Array.from({ length: count }, () => delays.next().value / 1_000);
    };
    assert.deepEqual(first(0.5, 8), [0.25, 0.75, 4, 8, 16, 32, 64, 64]);
    assert.deepEqual(first(0, 4), [0.25, 0.75, 3, 7]);
    assert.deepEqual(first(1, 4), [0.25, 0.75, 5, 9]);
  });

  const mask = [Option.subnetMask, Uint8Array.of(255, 255, 255, 0)] as const;
  const routers = [Option.routers, Uint8Array.of(10, 0, 0, 1, 10, 0, 0, 2)] as const;
  const old = [Option.staticRoutes, Uint8Array.of(172, 16, 0, 0, 10, 0, 0, 3)] as const;
  const classless = [
    Option.classlessRoutes,
    Uint8Array.of(8, 10, 10, 0, 0, 4, 24, 10, 5, 5, 0, 0, 0, 0),
  ] as const;
  const result = (...options: (readonly [number, Uint8Array])[]) => {
    const { ips, routes } = resultOf({ address: '10.0.0.9', options: new Map(options) });
    return { ips, routes };
  };

  it('the result has the first router as gateway and default route, after static routes', () => {
    assert.deepEqual(result(mask, routers, old), {
      ips: [{ address: '10.0.0.9/24', gateway: '10.0.0.1' }],
      routes: [
        { dst: '172.16.0.0/16', gw: '10.0.0.3' },
        { dst: '0.0.0.0/0', gw: '10.0.0.1' },
      ],
    });
    assert.deepEqual(result(mask), { ips: [{ address: '10.0.0.9/24' }], routes: [] });
  });

  it('classless routes take the place of all others (RFC 3442); one without a router is on the link', () => {
    assert.deepEqual(result(mask, routers, old, classless), {
      ips: [{ address: '10.0.0.9/24', gateway: '10.0.0.1' }],
      routes: [
        { dst: '10.0.0.0/8', gw: '10.0.0.4' },
        { dst: '10.5.5.0/24', gw: '0.0.0.0', scope: 253 },
      ],
    });
  });

  it('an address without a subnet mask is none', () => {
    assert.throws(() => result(routers), { message: 'DHCP option Subnet Mask not found in DHCPACK' });
  });
});
