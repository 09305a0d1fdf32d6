import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import type { LeaseCall } from '../../../../../src/network/plugins/ipam/dhcp/call.ts';
import { Leases, systemClock } from '../../../../../src/network/plugins/ipam/dhcp/leases.ts';
import { encodeIp, MessageType, Option } from '../../../../../src/network/plugins/ipam/dhcp/message.ts';
import { LeaseServer } from '../../../../../src/network/plugins/ipam/dhcp/server.ts';
import { FakeLan, giving, silent } from '../../../../fakes/dhcp-lan.ts';
import { quietLogger } from '../../../../fakes/logger.ts';
import { Cleanup } from '../../../../helpers/cleanup.ts';
import { eventually, Scratch } from '../../../../helpers/fixture.ts';

const { request, release } = MessageType;
const { now: wall } = Date;

describe('the keeper of DHCP leases', () => {
  let cleanup: Cleanup;
  let lan: FakeLan;
  let directory: string;
  beforeEach(async () => {
    cleanup = new Cleanup();
    lan = new FakeLan(systemClock, giving('10.0.0.9', 1_000));
    directory = join(cleanup.use(await Scratch.create()).path, 'leases');
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  function keeper(): Leases {
    const leases = new Leases({ directory, links: lan, log: quietLogger });
    cleanup.defer(() => leases.stop());
    leases.load();
    return leases;
  }

  const call = (verb: LeaseCall['verb'], more: Partial<LeaseCall> = {}): LeaseCall => ({
    verb,
    containerId: 'c1',
    netns: '/n',
    ifName: 'eth0',
    args: '',
    config: { name: 'lan', ipam: { type: 'dhcp' } },
    ...more,
  });
  const never = new AbortController().signal;
  const files = (): string[] => readdirSync(directory);
  const said = (type: number): number => lan.said.filter((each) => each.type === type).length;

  it('answers a second ADD of one attachment with what it has, and asks nobody', async () => {
    const leases = keeper();
    const first = await leases.serve(call('ADD'), never);
    assert.ok('result' in first);
    assert.deepEqual(first.result.ips, [{ address: '10.0.0.9/24' }]);
    assert.deepEqual(await leases.serve(call('ADD'), never), first);
    assert.equal(said(request), 1);
    assert.deepEqual(await leases.serve(call('CHECK'), never), {});
  });

  it('gives all routes the metric of the configuration', async () => {
    lan.answering = giving('10.0.0.9', 1_000, [[Option.routers, encodeIp('10.0.0.1')]]);
    const leases = keeper();
    const route = { dst: '0.0.0.0/0', gw: '10.0.0.1' };
    const routesOf = async (ipam: JsonObject): Promise<unknown> => {
      const answer = await leases.serve(call('ADD', { config: { name: 'lan', ipam } }), never);
      return 'result' in answer ? answer.result.routes : answer;
    };
    assert.deepEqual(await routesOf({ priority: 300 }), [{ ...route, priority: 300 }]);
    // The lease is there already.
    assert.deepEqual(await routesOf({ priority: 400 }), [{ ...route, priority: 400 }]);
    assert.deepEqual(await routesOf({}), [route]);
    const refused = { code: 7, message: 'invalid ipam.priority: -1 is no metric', details: '' };
    for (const verb of ['ADD', 'STATUS'] as const) {
      const config = { name: 'lan', ipam: { priority: -1 } };
      assert.deepEqual(await leases.serve(call(verb, { config }), never), { failure: refused });
    }
  });

  it('gives back what a DEL names, and knows nothing of what is not there', async () => {
    const leases = keeper();
    await leases.serve(call('ADD'), never);
    assert.deepEqual(await leases.serve(call('DEL', { containerId: 'c2' }), never), {});
    assert.equal(said(release), 0);
    const del = call('DEL', { netns: '', config: { name: 'lan' } });
    assert.deepEqual(await leases.serve(del, never), {});
    assert.deepEqual([said(release), files()], [1, []]);
    assert.deepEqual(await leases.serve(del, never), {});
    assert.deepEqual(await leases.serve(call('CHECK'), never), {
      failure: { code: 999, message: 'dhcp: no lease is kept for c1/lan/eth0', details: '' },
    });
  });

  it('collects what the runtime does not list, of that network alone, and in a dry run only tells it', async () => {
    const leases = keeper();
    const other = { name: 'other', ipam: { type: 'dhcp' } };
    for (const each of [{}, { containerId: 'c2' }, { config: other }])
      await leases.serve(call('ADD', each), never);
    assert.deepEqual(await leases.serve(call('GC'), never), {});
    assert.equal(leases.list().length, 3, 'without a list nothing is known to be stale');
    const config = { name: 'lan', 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] };
    const stale = [{ containerId: 'c1', ifName: 'eth0', address: '10.0.0.9' }];
    assert.deepEqual(await leases.serve(call('GC', { config, dryRun: true }), never), { stale });
    assert.deepEqual([leases.list().length, files().length, said(release)], [3, 3, 0]);
    assert.deepEqual(await leases.serve(call('GC', { config }), never), { stale });
    assert.deepEqual(
      leases
        .list()
        .map(({ record }) => record.client)
        .sort(),
      ['c1/other/eth0', 'c2/lan/eth0'],
    );
    assert.equal(said(release), 1);
    assert.deepEqual(await leases.serve(call('GC', { config }), never), { stale: [] });
  });

  it('goes on with the leases of an earlier run, and gives back those that never reached anybody', async () => {
    const first = keeper();
    await first.serve(call('ADD'), never);
    await first.serve(call('ADD', { containerId: 'c2' }), never);
    await first.stop();
    const path = files()
      .map((name) => join(directory, name))
      .find((each) => readFileSync(each, 'utf8').includes('"containerId":"c2"'));
    const { granted, ...asked } = JSON.parse(readFileSync(path ?? '', 'utf8')) as Record<string, unknown>;
    assert.ok(granted);
    writeFileSync(path ?? '', JSON.stringify(asked));
    writeFileSync(join(directory, 'torn.json'), '{');
    writeFileSync(join(directory, 'empty.json'), '{}');
    writeFileSync(join(directory, 'half.json.4711-0-1.tmp'), '{');
    const second = keeper();
    assert.deepEqual(
      second.list().map(({ record }) => record.client),
      ['c1/lan/eth0'],
    );
    await eventually('it is given back', () => said(release) === 1 || undefined);
    await eventually('its record is gone', () => files().length === 3 || undefined);
    for (const name of ['torn', 'empty']) assert.ok(files().includes(`${name}.json.unreadable`));
    assert.ok(!files().some((name) => name.endsWith('.tmp')));
    assert.deepEqual(await second.serve(call('CHECK'), never), {});
    assert.equal(said(request), 2);
  });

  /** Sets the clock of the wall, as far as this process sees it, so many seconds ahead. */
  function setClock(seconds: number): void {
    Date.now = () => wall() + 1_000 * seconds;
    cleanup.defer(async () => void (Date.now = wall));
  }

  it('does not follow a clock that is set, neither while it runs nor in a later run', async () => {
    for (const [first, later] of [
      [2_000, 4_000],
      [-2_000, -4_000],
    ] as const) {
      const one = keeper();
      await one.serve(call('ADD'), never);
      const [{ record } = assert.fail()] = one.list();
      setClock(first);
      assert.deepEqual(await one.serve(call('CHECK'), never), {});
      assert.deepEqual(
        one.list().map(({ phase }) => phase),
        ['bound'],
      );
      await one.stop();
      setClock(later);
      const two = keeper();
      assert.deepEqual(
        two.list().map((lease) => [lease.phase, lease.record]),
        [['bound', record]],
      );
      await two.serve(call('DEL'), never);
    }
    assert.deepEqual(lan.done, []);
  });

  it('goes by the clock of the wall with records of before a reboot, and of earlier versions, which had none else', async () => {
    const first = keeper();
    await first.serve(call('ADD'), never);
    await first.stop();
    const [file = ''] = files();
    const path = join(directory, file);
    const { clock, ...earlier } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    setClock(600);
    for (const record of [earlier, { ...earlier, clock: { ...(clock as JsonObject), bootId: 'another' } }]) {
      writeFileSync(path, JSON.stringify(record));
      lan.answering = silent;
      const later = keeper();
      assert.deepEqual(
        later.list().map(({ phase }) => phase),
        ['renewing'],
      );
      await later.stop();
    }
  });

  it('drops leases whose pods are gone, as after a reboot', async () => {
    const first = keeper();
    await first.serve(call('ADD'), never);
    await first.stop();
    lan.isGone = true;
    const second = keeper();
    await eventually('it is dropped', () => second.list().length + files().length === 0 || undefined);
    assert.equal(said(release), 0);
  });

  it('does not ask for longer than its caller has time', async () => {
    lan.answering = silent;
    const reply = await keeper().serve(call('ADD', { deadline: Date.now() + 300 }), never);
    assert.ok('failure' in reply);
    assert.match(reply.failure.message, /^no more tries: no DHCP server answered on "eth0" within [\d.]+ s$/);
    assert.deepEqual(files(), []);
  });

  it('says what is wrong with a configuration, and with an interface that is not there', async () => {
    const leases = keeper();
    const config = { name: 'lan', ipam: { type: 'dhcp', request: [{ option: 'nonsense' }] } };
    for (const verb of ['ADD', 'STATUS'] as const) {
      const reply = await leases.serve(call(verb, { config }), never);
      assert.ok('failure' in reply);
      assert.match(reply.failure.message, /^Can not parse option "nonsense"/);
    }
    lan.isGone = true;
    const reply = await leases.serve(call('ADD'), never);
    assert.ok('failure' in reply);
    assert.equal(reply.failure.message, 'error looking up "eth0": Link not found');
  });

  describe('for other processes', () => {
    let path: string;
    let leases: Leases;
    beforeEach(async () => {
      mkdirSync(directory);
      path = join(directory, 'dhcp.sock');
      leases = keeper();
      const server = new LeaseServer(path, leases, quietLogger);
      await server.start();
      cleanup.defer(() => server.stop());
    });

    async function ask(line: string): Promise<unknown> {
      const socket = connect(path);
      socket.write(`${line}\n`);
      return JSON.parse(await text(socket)) as unknown;
    }

    it('answers a call in a line with its reply in a line', async () => {
      const reply = (await ask(JSON.stringify(call('ADD')))) as { result: { ips: unknown } };
      assert.deepEqual(reply.result.ips, [{ address: '10.0.0.9/24' }]);
      assert.deepEqual(await ask(JSON.stringify(call('DEL'))), {});
    });

    it('does not serve on a path that the kernel would not know whole', async () => {
      const server = new LeaseServer(`/tmp/${'x'.repeat(110)}`, leases, quietLogger);
      await assert.rejects(server.start(), /not the path of a socket/);
      await server.stop();
    });

    it('names what is wrong with a call', async () => {
      const bad: [unknown, RegExp][] = [
        ['{', /JSON/],
        ['[]', /must be an object/],
        [JSON.stringify({ ...call('ADD'), verb: 'EAT' }), /invalid verb: "EAT"/],
        [JSON.stringify({ ...call('ADD'), netns: 5 }), /invalid netns/],
        [JSON.stringify({ ...call('ADD'), config: 'x' }), /invalid config/],
        [JSON.stringify({ ...call('ADD'), deadline: 'soon' }), /invalid deadline/],
        [JSON.stringify({ ...call('GC'), dryRun: 'yes' }), /invalid dryRun/],
      ];
      for (const [line, message] of bad) {
        const { failure } = (await ask(String(line))) as { failure: { message: string } };
        assert.match(failure.message, message);
      }
    });

    it('ends what a caller waited for who is gone', async () => {
      lan.answering = silent;
      const socket = connect(path);
      socket.write(`${JSON.stringify(call('ADD'))}\n`);
      await eventually('it asks', () => lan.said.length > 0 || undefined);
      socket.destroy();
      await eventually('its wire is closed', () => lan.wires === 0 || undefined);
    });
  });
});
