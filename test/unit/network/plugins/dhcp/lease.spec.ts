import assert from 'node:assert/strict';
import { acquire } from '../../../../../src/network/plugins/ipam/dhcp/acquire.ts';
import {
  Lease,
  type LeaseDeps,
  type LeaseEvent,
} from '../../../../../src/network/plugins/ipam/dhcp/lease.ts';
import { MessageType, Option } from '../../../../../src/network/plugins/ipam/dhcp/message.ts';
import type { LeaseRecord } from '../../../../../src/network/plugins/ipam/dhcp/records.ts';
import {
  answer,
  type Answering,
  FakeClock,
  FakeLan,
  giving,
  SERVER,
  SERVER_MAC,
  silent,
} from '../../../../fakes/dhcp-lan.ts';
import { quietLogger } from '../../../../fakes/logger.ts';

const applicant = {
  client: 'c1/lan/eth0',
  network: 'lan',
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/n',
  options: new Map([[Option.clientIdentifier, Uint8Array.of(0, 1, 2)]]),
};
const IP = '10.0.0.9';
const { discover, offer, request, ack, nak, release } = MessageType;
const mask = [Option.subnetMask, Uint8Array.of(255, 255, 255, 0)] as const;

/** Everything that a lease lives on, and what is left of it. */
class World {
  readonly clock = new FakeClock();
  readonly lan: FakeLan;
  readonly events: LeaseEvent[] = [];
  readonly deps: LeaseDeps;
  record: LeaseRecord | undefined;
  ended = 0;
  isDiskFull = false;

  constructor(answering: Answering) {
    this.lan = new FakeLan(this.clock, answering);
    this.deps = {
      links: this.lan,
      clock: this.clock,
      log: quietLogger,
      observe: (event) => void this.events.push(event),
      onGone: () => void (this.ended += 1),
      records: {
        put: async (record) => {
          if (this.isDiskFull) throw new Error('ENOSPC: no space left on device');
          this.record = record;
        },
        drop: async () => void (this.record = undefined),
      },
    };
  }

  /** Asks for an address, for so many seconds; the record, or what it failed with. */
  async acquire(within = 60, signal = new AbortController().signal): Promise<LeaseRecord | Error> {
    const until = this.clock.now() + 1_000 * within;
    const acquired = acquire(applicant, this.deps, { until, signal }).catch(
      (error: unknown) => error as Error,
    );
    await this.clock.pass(1_000 * within + 1_000);
    return acquired;
  }

  /** A lease that was just granted, and is kept from now on. */
  async lease(): Promise<Lease> {
    const limits = { until: this.clock.now() + 60_000, signal: new AbortController().signal };
    const acquired = acquire(applicant, this.deps, limits);
    await this.clock.pass(0);
    const lease = new Lease(await acquired, this.deps);
    lease.keep();
    this.lan.said.length = 0;
    return lease;
  }
}

describe('acquiring a DHCP lease', () => {
  it('takes the first offer, and is recorded before it asks for it', async () => {
    const world = new World(giving(IP, 100));
    let recorded: LeaseRecord | undefined;
    const give = world.lan.answering;
    world.lan.answering = (said) => {
      if (said.type === request) recorded = world.record;
      return give(said);
    };
    const record = await world.acquire();
    assert.equal(world.lan.story, `${discover}@0 ${request}@0`);
    assert.deepEqual([recorded?.address, recorded?.granted], [IP, undefined]);
    assert.ok(!(record instanceof Error));
    assert.deepEqual(world.record, record);
    assert.equal(record.granted?.result.ips[0]?.address, `${IP}/24`);
    assert.deepEqual(record.server, { address: SERVER, mac: SERVER_MAC });
    assert.equal(record.granted.expireAt - record.granted.renewAt, 50_000);
    assert.equal(world.lan.wires, 0);
    const [first, second] = world.lan.said;
    assert.equal(first?.options.get(Option.clientIdentifier)?.join(), '0,1,2');
    assert.equal(second?.options.get(Option.requestedAddress)?.join('.'), IP);
    assert.equal(second.options.get(Option.serverIdentifier)?.join('.'), SERVER);
  });

  it('sends again what nobody answers, and fails in time with what is wrong', async () => {
    const world = new World(silent);
    const failure = await world.acquire(30);
    assert.ok(failure instanceof Error);
    assert.equal(failure.message, 'no more tries: no DHCP server answered on "eth0" within 30 s');
    assert.equal(world.lan.story, [0, 0.3, 1, 5, 13, 29].map((at) => `${discover}@${at}`).join(' '));
    assert.equal(new Set(world.lan.said.map(({ xid }) => xid)).size, 1);
    assert.deepEqual(
      world.lan.said.map(({ secs }) => secs),
      [0, 0, 1, 5, 13, 29],
    );
    assert.deepEqual(
      world.lan.said.map(({ broadcast }) => broadcast),
      [false, true, true, true, true, true],
    );
    assert.deepEqual([world.record, world.lan.wires], [undefined, 0]);
  });

  it('starts anew after a NAK, says in the end who refused what and why, and leaves no record', async () => {
    const reason = [Option.message, Buffer.from('not today')] as const;
    const world = new World(({ type }) => {
      if (type === discover) return [answer(offer, IP)];
      return type === request ? [answer(nak, '0.0.0.0', [reason])] : [];
    });
    const failure = await world.acquire(5);
    assert.ok(failure instanceof Error);
    assert.equal(
      failure.message,
      `no more tries: DHCP server ${SERVER} refused (not today) ${IP} within 5 s`,
    );
    assert.match(world.lan.story, /^1@0 3@0 1@2 3@2 1@4 3@4/);
    assert.doesNotMatch(world.lan.story, /7@/, 'what was refused is not given back');
    assert.equal(world.record, undefined);
  });

  it('says who refused what and why, too, when the time ends while a later request is not answered', async () => {
    const world = new World(silent);
    let requests = 0;
    world.lan.answering = ({ type }) => {
      if (type === discover) return [answer(offer, IP)];
      return type === request && (requests += 1) === 1 ? [answer(nak, '0.0.0.0')] : [];
    };
    const failure = await world.acquire(5);
    assert.ok(failure instanceof Error);
    assert.equal(failure.message, `no more tries: DHCP server ${SERVER} refused ${IP} within 5 s`);
    assert.equal(world.lan.story, '1@0 3@0 1@2 3@2 3@2.3 3@3 7@5');
    assert.equal(world.record, undefined);
  });

  it('asks for an offer in the exchange that it came in: with its xid, and secs that stay (RFC 2131, 3.1, 3)', async () => {
    let discovers = 0;
    let requests = 0;
    const give = giving(IP, 100);
    const world = new World((said) => {
      if (said.type === discover) return (discovers += 1) > 4 ? give(said) : [];
      return (requests += 1) > 4 ? give(said) : [];
    });
    assert.ok(!((await world.acquire()) instanceof Error));
    assert.deepEqual(
      world.lan.said.map(({ type, secs }) => `${type} ${secs}`),
      ['1 0', '1 0', '1 1', '1 5', '1 13', '3 13', '3 13', '3 13', '3 13', '1 0', '3 0'],
    );
    const xids = world.lan.said.map(({ xid }) => xid);
    assert.deepEqual(
      [new Set(xids.slice(0, 9)).size, new Set(xids.slice(9)).size, new Set(xids).size],
      [1, 1, 2],
    );
  });

  it('finds what came while it was held up, also when its time is over by then', async () => {
    const world = new World((said) => {
      world.clock.hold(20_000);
      return giving(IP, 100)(said);
    });
    const record = await world.acquire(30);
    assert.ok(!(record instanceof Error));
    assert.equal(world.lan.story, `${discover}@0 ${request}@20`);
    assert.equal(record.address, IP);
  });

  it('asks for nothing more when its time is over', async () => {
    const world = new World((said) => {
      world.clock.hold(40_000);
      return giving(IP, 100)(said);
    });
    const failure = await world.acquire(30);
    assert.ok(failure instanceof Error);
    assert.match(failure.message, /^no more tries: /);
    assert.equal(world.lan.story, `${discover}@0`);
    assert.equal(world.record, undefined);
  });

  it('looks for another offer when nobody answers its request', async () => {
    const world = new World(giving(IP, 100));
    let requests = 0;
    const give = world.lan.answering;
    world.lan.answering = (said) => (said.type === request && (requests += 1) <= 4 ? [] : give(said));
    assert.ok(!((await world.acquire()) instanceof Error));
    assert.equal(world.lan.story, '1@0 3@0 3@0.3 3@1 3@5 1@15 3@15');
  });

  it('gives back an address that it cannot use: without a subnet mask', async () => {
    const world = new World(({ type }) => {
      if (type === discover) return [answer(offer, IP)];
      return type === request ? [answer(ack, IP)] : [];
    });
    const failure = await world.acquire();
    assert.ok(failure instanceof Error);
    assert.equal(failure.message, 'DHCP option Subnet Mask not found in DHCPACK');
    assert.equal(world.lan.story, `${discover}@0 ${request}@0 ${release}@0`);
    assert.deepEqual([world.record, world.lan.wires], [undefined, 0]);
  });

  it('ends with its caller, and gives back what it had asked for', async () => {
    const world = new World(({ type }) => (type === discover ? [answer(offer, IP)] : []));
    const leaving = new AbortController();
    const acquired = world.acquire(60, leaving.signal);
    await world.clock.pass(200);
    leaving.abort(new Error('gone'));
    const failure = await acquired;
    assert.ok(failure instanceof Error);
    assert.equal(failure.message, 'gone');
    assert.equal(world.lan.story, `${discover}@0 ${request}@0 ${release}@0.2`);
    assert.equal(world.record, undefined);
  });

  it('does not listen to what is not for it, and not to what makes no sense', async () => {
    const world = new World((said) => {
      if (said.type === request) return [answer(ack, IP, [mask])];
      const good = answer(offer, '10.0.0.66');
      const other = [Option.clientIdentifier, Uint8Array.of(9)] as const;
      return [
        { ...good, op: 1 },
        { ...good, xid: (said.xid + 1) >>> 0 },
        { ...good, chaddr: '02:00:00:00:00:02' },
        answer(offer, '10.0.0.66', [other]),
        answer(offer, '0.0.0.0'),
        answer(offer, '224.0.0.1'),
        answer(ack, '10.0.0.66'),
        answer(nak, '0.0.0.0'),
        { yiaddr: '10.0.0.66', options: new Map() },
        answer(offer, IP),
      ];
    });
    const record = await world.acquire();
    assert.ok(!(record instanceof Error));
    assert.equal(record.address, IP);
  });
});

describe('keeping a DHCP lease', () => {
  it('asks its server for more time at T1, again and again', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    await world.clock.pass(499_000);
    assert.equal(world.lan.story, '');
    await world.clock.pass(1_001_000);
    assert.equal(world.lan.story, `${request}@500 ${request}@1000 ${request}@1500`);
    for (const { ciaddr, isUnicast, options } of world.lan.said) {
      assert.deepEqual([ciaddr, isUnicast], [IP, true]);
      assert.equal(options.has(Option.serverIdentifier) || options.has(Option.requestedAddress), false);
    }
    assert.deepEqual(world.events, ['renewed', 'renewed', 'renewed']);
    assert.equal(world.record?.granted?.expireAt, world.clock.now() + 1_000_000);
    assert.equal(world.lan.wires, 0);
    await lease.stop();
  });

  it('asks at half of what remains, then everybody at T2, then takes the address off, and puts it back', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    world.lan.answering = silent;
    await world.clock.pass(999_000);
    const asked = world.lan.said.map(({ at, isUnicast }) => [Math.round(at / 1_000), isUnicast]);
    assert.deepEqual(asked, [
      [500, true],
      [677, true],
      [766, true],
      [830, true],
      [850, false],
      [927, false],
      [991, false],
    ]);
    assert.deepEqual(world.lan.done, []);
    await world.clock.pass(1_500);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`]);
    assert.equal(lease.phase, 'expired');
    assert.ok(world.record?.withdrawn);
    await world.clock.pass(20_000);
    const last = world.lan.said.at(-1);
    assert.equal(last?.type, discover);
    assert.equal(last.options.get(Option.requestedAddress)?.join('.'), IP);
    world.lan.answering = giving(IP, 1_000);
    await world.clock.pass(70_000);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`, `restore ${IP}/24 0.0.0.0/0`]);
    assert.equal(world.record.withdrawn, undefined);
    assert.equal(lease.phase, 'bound');
    assert.equal(world.events.filter((event) => event === 'expired').length, 1);
    assert.equal(world.events.at(-1), 'regained');
    await lease.stop();
  });

  it('ends at once with a NAK, and is asked for from the beginning: the same address, and no other one', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    world.lan.answering = ({ type, ciaddr }) => {
      if (type === request && ciaddr !== '0.0.0.0') return [answer(nak, '0.0.0.0')];
      return giving('10.0.0.77', 1_000)({ type } as never);
    };
    await world.clock.pass(501_000);
    assert.equal(world.lan.story, `${request}@500 ${discover}@500`);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`]);
    assert.equal(lease.phase, 'expired');
    await world.clock.pass(20_000);
    assert.deepEqual(world.events.slice(0, 4), ['refused', 'expired', 'other_address', 'unanswered']);
    assert.equal(lease.record.address, IP);
    world.lan.answering = giving(IP, 1_000);
    await world.clock.pass(70_000);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`, `restore ${IP}/24 0.0.0.0/0`]);
    assert.equal(world.events.at(-1), 'regained');
    assert.equal(lease.phase, 'bound');
    await lease.stop();
  });

  it('is not given back, and not asked for as if it were held, after a NAK', async () => {
    const world = new World(giving(IP, 1_000));
    const first = await world.lease();
    world.lan.answering = ({ type }) => (type === request ? [answer(nak, '0.0.0.0')] : []);
    await world.clock.pass(501_000);
    await first.stop();
    world.lan.said.length = 0;
    const lease = new Lease(world.record!, world.deps);
    lease.keep();
    await world.clock.pass(1_000);
    const released = lease.release();
    await world.clock.pass(0);
    await released;
    assert.deepEqual(
      world.lan.said.map(({ type }) => type),
      [discover],
    );
    assert.equal(world.record, undefined);
  });

  it('takes an ACK of another address for a refusal', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    world.lan.answering = giving('10.0.0.77', 1_000);
    await world.clock.pass(501_000);
    assert.deepEqual(world.events, ['other_address']);
    assert.equal(world.record?.address, IP);
    await lease.stop();
  });

  it('goes on where an earlier run was, at once when that is late', async () => {
    const world = new World(giving(IP, 1_000));
    const first = await world.lease();
    await first.stop();
    await world.clock.pass(600_000);
    assert.equal(world.lan.story, '');
    const lease = new Lease(world.record!, world.deps);
    lease.keep();
    await world.clock.pass(10);
    assert.equal(world.lan.story, `${request}@600`);
    await lease.stop();
  });

  it('goes on with what was granted when that cannot be recorded, which is tried again', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    const acquired = world.record;
    world.isDiskFull = true;
    await world.clock.pass(1_400_000);
    assert.equal(world.lan.story, `${request}@500 ${request}@1000`);
    assert.deepEqual([lease.phase, world.events, world.lan.done], ['bound', ['renewed', 'renewed'], []]);
    assert.equal(world.record, acquired);
    world.isDiskFull = false;
    await world.clock.pass(61_000);
    assert.equal(world.record, lease.record);
    assert.notEqual(world.record, acquired);
    await lease.stop();
  });

  it('records when it is left what could not be recorded before, and nothing of what was given back', async () => {
    for (const end of ['stop', 'release'] as const) {
      const world = new World(giving(IP, 1_000));
      const lease = await world.lease();
      world.isDiskFull = true;
      await world.clock.pass(501_000);
      world.isDiskFull = false;
      await lease[end]();
      await lease.stop();
      assert.equal(world.record, end === 'stop' ? lease.record : undefined);
    }
  });

  it('loses no route, and asks as ever, when it runs out while nothing can be recorded', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    world.lan.answering = silent;
    world.isDiskFull = true;
    await world.clock.pass(1_001_000);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`]);
    assert.equal(world.lan.said.at(-1)?.type, discover);
    world.lan.answering = giving(IP, 1_000);
    await world.clock.pass(70_000);
    assert.deepEqual(world.lan.done, [`withdraw ${IP}/24`, `restore ${IP}/24 0.0.0.0/0`]);
    assert.equal(lease.phase, 'bound');
    assert.equal(world.events.filter((event) => event === 'expired').length, 1);
    await lease.stop();
  });

  it('loses no route when the run that took the address off ended before it knew that', async () => {
    for (const isTaken of [true, false]) {
      const world = new World(giving(IP, 1_000));
      const first = await world.lease();
      world.lan.answering = silent;
      let recorded: LeaseRecord | undefined;
      const withdraw = world.lan.withdraw.bind(world.lan);
      world.lan.withdraw = async (job) => {
        recorded ??= world.record;
        return withdraw(job);
      };
      await world.clock.pass(1_001_000);
      await first.stop();
      assert.ok(recorded);
      world.lan.hasAddress = !isTaken;
      world.lan.done.length = 0;
      const lease = new Lease(recorded, world.deps);
      lease.keep();
      await world.clock.pass(1_000);
      assert.deepEqual(world.lan.done, isTaken ? [] : [`withdraw ${IP}/24`]);
      world.lan.answering = giving(IP, 1_000);
      await world.clock.pass(70_000);
      assert.equal(world.lan.done.at(-1), `restore ${IP}/24 0.0.0.0/0`);
      await lease.stop();
    }
  });

  it('asks no more when its interface is gone', async () => {
    const world = new World(giving(IP, 1_000));
    await world.lease();
    world.lan.isGone = true;
    await world.clock.pass(61_000);
    assert.deepEqual([world.record, world.ended, world.events], [undefined, 1, ['gone']]);
    await world.clock.pass(5_000_000);
    assert.equal(world.lan.story, '');
  });

  it('never asks for what has no end', async () => {
    const world = new World(giving(IP, 0xffff_ffff));
    const lease = await world.lease();
    await world.clock.pass(3_000_000);
    assert.equal(world.lan.story, '');
    await lease.stop();
  });

  it('is given back to the server that granted it, also while it is asked for', async () => {
    const world = new World(giving(IP, 1_000));
    const lease = await world.lease();
    world.lan.answering = silent;
    await world.clock.pass(501_000);
    const released = lease.release();
    await world.clock.pass(0);
    await released;
    const { type, ciaddr, isUnicast, options } = world.lan.said.at(-1)!;
    assert.deepEqual([type, ciaddr, isUnicast], [release, IP, true]);
    assert.equal(options.get(Option.serverIdentifier)?.join('.'), SERVER);
    assert.deepEqual([world.record, world.lan.wires], [undefined, 0]);
    assert.equal(world.events.at(-1), 'released');
    await world.clock.pass(5_000_000);
    assert.equal(world.lan.said.at(-1)?.type, release);
  });

  it('is not given back when it has run out: it may be another machine’s', async () => {
    const world = new World(giving(IP, 100));
    const lease = await world.lease();
    world.lan.answering = silent;
    await world.clock.pass(150_000);
    const released = lease.release();
    await world.clock.pass(0);
    await released;
    assert.equal(
      world.lan.said.some(({ type }) => type === release),
      false,
    );
    assert.deepEqual([world.record, world.events.at(-1)], [undefined, 'gone']);
  });
});
