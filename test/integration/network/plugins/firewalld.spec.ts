import assert from 'node:assert/strict';
import { BUS, MessageBus } from '../../../../src/kernel/dbus/bus.ts';
import { withNetns } from '../../../../src/kernel/thread-namespaces.ts';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { ExecInvoke } from '../../../../src/network/cni/invoke/exec-invoke.ts';
import type { Verb } from '../../../../src/network/cni/types.ts';
import {
  BuiltinInvoke,
  DelegatedExecutables,
  pluginJobsModule,
} from '../../../../src/network/plugins/builtin-invoke.ts';
import { createFirewall } from '../../../../src/network/plugins/meta/firewall/index.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { FakeFirewalld } from '../../../helpers/dbus/fake-firewalld.ts';
import { TestBus } from '../../../helpers/dbus/test-bus.ts';
import { TestNode } from '../../../helpers/node.ts';
import {
  callPlugin,
  callWell,
  type Form,
  type PluginAnswer,
  referencePlugins,
} from '../../../helpers/plugin-process.ts';
import { fakeContext, pluginArgs } from '../../../unit/network/plugins/fake-plugin.ts';

const SOURCES = ['10.0.0.5/32', 'fd00::5/128'];
const prevResult = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'br0' }, { name: 'eth0', sandbox: '/run/netns/x' }],
  ips: [
    { address: '10.0.0.5/16', interface: 1 },
    { address: 'fd00::5/64', interface: 1 },
  ],
};
const forms: readonly Form[] = ['in-process', 'berth', 'reference'];
const ours: readonly Form[] = ['in-process', 'berth'];

describe('firewall with firewalld', function () {
  this.timeout(120_000);
  let cleanup: Cleanup;
  let bus: TestBus;
  let node: TestNode;
  let pod: TestNode;

  beforeEach(async () => {
    cleanup = new Cleanup();
    bus = cleanup.use(await TestBus.start());
    node = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    const before = process.env['DBUS_SYSTEM_BUS_ADDRESS'];
    process.env['DBUS_SYSTEM_BUS_ADDRESS'] = bus.address;
    cleanup.defer(async () => {
      if (before === undefined) delete process.env['DBUS_SYSTEM_BUS_ADDRESS'];
      else process.env['DBUS_SYSTEM_BUS_ADDRESS'] = before;
    });
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const firewalld = async (): Promise<FakeFirewalld> => cleanup.use(await FakeFirewalld.start(bus));

  function callOf(verb: Verb, more: JsonObject, netns: string): Parameters<typeof callPlugin>[2] {
    const config = { cniVersion: '1.0.0', name: 'net', type: 'firewall', prevResult, ...more };
    return { verb, type: 'firewall', config, netns };
  }

  const call = (form: Form, verb: Verb, more: JsonObject = {}, netns = pod.path): Promise<PluginAnswer> =>
    callPlugin(node, form, callOf(verb, more, netns));

  const well = (
    form: Form,
    verb: Verb,
    more: JsonObject = {},
    netns = pod.path,
  ): Promise<JsonObject | undefined> => callWell(node, form, callOf(verb, more, netns));

  const messageOf = ({ output }: PluginAnswer): unknown => output?.['msg'];

  /** The rules of both families, without the chains that are always there. */
  async function rules(): Promise<string[]> {
    const saved = await node.run('sh', '-c', 'iptables-save -t filter; ip6tables-save -t filter');
    return saved.split('\n').filter((line) => /^(-A|:CNI)/.test(line));
  }

  for (const [form, other] of [
    ['in-process', 'reference'],
    ['berth', 'reference'],
    ['reference', 'in-process'],
    ['reference', 'berth'],
  ] as const) {
    it(`as ${form} puts both addresses into the zone and no rule into iptables; ${other} takes them out`, async () => {
      const fake = await firewalld();
      const result = await well(form, 'ADD');
      assert.deepEqual(result?.['ips'], prevResult.ips);
      await well(other, 'CHECK');
      assert.deepEqual((await fake.state()).zones, { public: [], trusted: SOURCES });
      await well(other, 'DEL');
      const { zones, calls } = await fake.state();
      assert.deepEqual(zones, { public: [], trusted: [] });
      const expected = ['addSource', 'querySource', 'removeSource'].flatMap((method) =>
        SOURCES.map((source) => [method, 'trusted', source]),
      );
      assert.deepEqual(calls, expected);
      assert.deepEqual(await rules(), []);
    });
  }

  it('works on a worker thread, where the daemon has it', async () => {
    const fake = await firewalld();
    const delegated = new DelegatedExecutables(new ExecInvoke());
    const pool = new ThreadPool({
      name: 'plugins',
      size: 1,
      modules: [pluginJobsModule],
      serve: delegated.serve,
    });
    cleanup.defer(() => pool.stop());
    const invoke = new BuiltinInvoke(pool, delegated);
    const request = {
      ...callOf('ADD', { backend: 'firewalld' }, pod.path),
      containerId: 'c1',
      ifName: 'eth0',
    };
    const signal = AbortSignal.timeout(20_000);
    await invoke.invoke({ ...request, args: '', path: [referencePlugins] }, { signal });
    assert.deepEqual((await fake.state()).zones['trusted'], SOURCES);
  });

  it('uses iptables when the bus has no firewalld, and when there is no bus', async () => {
    for (const form of forms) {
      await well(form, 'ADD');
      assert.equal(
        (await rules()).filter((line) => line.includes('-s 10.0.0.5/32 -j ACCEPT')).length,
        1,
        form,
      );
      await well(form, 'DEL');
    }
    await bus.crash();
    for (const form of forms) {
      await well(form, 'ADD');
      await well(form, 'CHECK');
      await well(form, 'DEL');
      assert.doesNotMatch((await rules()).join('\n'), /10\.0\.0\.5/);
    }
  });

  it('may be asked for iptables where firewalld runs', async () => {
    const fake = await firewalld();
    await well('in-process', 'ADD', { backend: 'iptables' });
    await well('in-process', 'DEL', { backend: 'iptables' });
    assert.deepEqual((await fake.state()).calls, []);
  });

  it('can be added twice, and removed twice', async () => {
    const fake = await firewalld();
    for (const form of forms) {
      await well(form, 'ADD', { backend: 'firewalld', firewalldZone: 'public' });
      await well(form, 'ADD', { backend: 'firewalld', firewalldZone: 'public' });
      assert.deepEqual((await fake.state()).zones, { public: SOURCES, trusted: [] });
      await well(form, 'DEL', { backend: 'firewalld', firewalldZone: 'public' });
      await well(form, 'DEL', { backend: 'firewalld', firewalldZone: 'public' });
      assert.deepEqual((await fake.state()).zones, { public: [], trusted: [] });
    }
  });

  it('names the zone that there is not, and leaves nothing', async () => {
    const fake = await firewalld();
    for (const form of forms) {
      const answer = await call(form, 'ADD', { firewalldZone: 'nozone', ingressPolicy: 'same-bridge' });
      assert.equal(
        messageOf(answer),
        'failed to add the address 10.0.0.5/32 to nozone zone: INVALID_ZONE: nozone',
      );
      await well(form, 'DEL', { firewalldZone: 'nozone' });
    }
    assert.deepEqual((await fake.state()).zones, { public: [], trusted: [] });
    assert.deepEqual(await rules(), []);
  });

  it('takes back the first address when firewalld refuses the second, but none that was there before', async () => {
    const fake = await firewalld();
    await fake.become('no-ipv6');
    for (const form of ours) {
      const message =
        "failed to add the address fd00::5/128 to trusted zone: COMMAND_FAILED: 'python-nftables' failed: internal:0:0-0: Error";
      assert.equal(messageOf(await call(form, 'ADD')), message);
      assert.deepEqual((await fake.state()).zones['trusted'], []);
    }
    await well('in-process', 'ADD', { prevResult: { ...prevResult, ips: prevResult.ips.slice(0, 1) } });
    await call('in-process', 'ADD');
    assert.deepEqual((await fake.state()).zones['trusted'], SOURCES.slice(0, 1));
  });

  it('takes back both addresses when the rules of an ingressPolicy fail', async () => {
    const fake = await firewalld();
    const config = {
      ingressPolicy: 'isolated',
      prevResult: { ...prevResult, interfaces: [], ips: [{ address: '10.0.0.5/16' }] },
    };
    const answer = await call('in-process', 'ADD', config);
    assert.match(String(messageOf(answer)), /^interface needs to be set for ingress policy "isolated"/);
    assert.deepEqual((await fake.state()).zones['trusted'], []);
  });

  it('leaves an address in the zone that somebody else put it into', async () => {
    const fake = await firewalld();
    await well('reference', 'ADD', { firewalldZone: 'public' });
    for (const form of forms) {
      const answer = await call(form, 'ADD');
      assert.match(String(messageOf(answer)), /10\.0\.0\.5\/32 to trusted zone: ZONE_CONFLICT: /);
      await well(form, 'DEL');
    }
    assert.deepEqual((await fake.state()).zones, { public: SOURCES, trusted: [] });
  });

  it('keeps bridges apart by iptables also then, and writes no other rule', async () => {
    await firewalld();
    await well('reference', 'ADD', { ingressPolicy: 'same-bridge' });
    // The reference plugin of Debian 12 looks at the first family only.
    const v4 = (lines: string[]): string[] => lines.slice(0, 7).map((line) => line.replace('|isolated', ''));
    const expected = v4(await rules());
    await node.run('sh', '-c', 'nft flush ruleset');
    for (const form of ours) {
      await well(form, 'ADD', { ingressPolicy: 'same-bridge' });
      const found = await rules();
      assert.deepEqual(v4(found), expected);
      assert.equal(found.length, 14);
      assert.doesNotMatch(found.join('\n'), /CNI-FORWARD|10\.0\.0\.5/);
      await well(form, 'DEL', { ingressPolicy: 'same-bridge' });
    }
  });

  it('needs neither previous result nor namespace at DEL', async () => {
    const fake = await firewalld();
    for (const form of ours) {
      await well(form, 'DEL', { backend: 'firewalld', prevResult: null }, '');
      assert.deepEqual((await fake.state()).calls, []);
    }
    await well('in-process', 'ADD');
    await well('in-process', 'DEL', {}, '');
    assert.deepEqual((await fake.state()).zones['trusted'], []);
  });

  it('has nothing to remove once firewalld, or the bus, is gone', async () => {
    for (const backend of ['', 'firewalld']) {
      await using fake = await FakeFirewalld.start(bus);
      await well('in-process', 'ADD', { backend });
      assert.equal((await fake.state()).calls.length, 2);
    }
    for (const form of ours) {
      await well(form, 'DEL', { backend: 'firewalld' });
      const answer = await call(form, 'ADD', { backend: 'firewalld' });
      assert.match(
        String(messageOf(answer)),
        /10\.0\.0\.5\/32 to trusted zone: firewalld is not running: .*FirewallD1/,
      );
    }
    await bus.crash();
    for (const form of ours) {
      await well(form, 'DEL', { backend: 'firewalld' });
      await well(form, 'DEL');
      const answer = await call(form, 'ADD', { backend: 'firewalld' });
      assert.match(String(messageOf(answer)), /failed to connect to unix:path=.*: connection refused/);
    }
  });

  it('removes what it did in iptables before firewalld was started', async () => {
    await well('in-process', 'ADD');
    await firewalld();
    await well('in-process', 'DEL');
    assert.doesNotMatch((await rules()).join('\n'), /10\.0\.0\.5/);
  });

  it('finds at CHECK what firewalld has forgotten', async () => {
    const fake = await firewalld();
    await well('in-process', 'ADD');
    await fake[Symbol.asyncDispose]();
    const missing = 'failed to find the address 10.0.0.5/32 in trusted zone';
    for (const form of ours) {
      assert.match(
        String(messageOf(await call(form, 'CHECK', { backend: 'firewalld' }))),
        new RegExp(`^${missing}`),
      );
    }
    await firewalld();
    for (const form of ours) assert.equal(messageOf(await call(form, 'CHECK')), missing);
  });

  it('fails a DEL that firewalld refuses, past which every address is tried, and succeeds later', async () => {
    const fake = await firewalld();
    await well('in-process', 'ADD');
    await fake.become('panic');
    const message = 'failed to remove the address 10.0.0.5/32 from trusted zone: PANIC_MODE';
    for (const form of ours) assert.equal(messageOf(await call(form, 'DEL')), message);
    assert.equal((await fake.state()).calls.filter(([method]) => method === 'removeSource').length, 4);
    await fake.become('well');
    await well('in-process', 'DEL');
    assert.deepEqual((await fake.state()).zones['trusted'], []);
  });

  it('gives up on a firewalld that does not answer, and takes back what it may have done', async () => {
    const fake = await firewalld();
    await fake.become('silent');
    // As long as a busy machine may take to let us in.
    const plugin = createFirewall(() => ({ address: bus.address, timeoutMs: 2_000 }));
    const context = fakeContext([]);
    const args = pluginArgs({}, { prevResult: { ...prevResult, routes: [], dns: {} } });
    withNetns(node.path, () => {
      assert.throws(() => plugin.add(args, context), {
        message:
          'failed to add the address 10.0.0.5/32 to trusted zone: org.fedoraproject.FirewallD1 did not answer addSource within 2000 ms',
      });
    });
    assert.deepEqual((await fake.state()).calls, [
      ['addSource', 'trusted', '10.0.0.5/32'],
      ['removeSource', 'trusted', '10.0.0.5/32'],
    ]);
    assert.match(context.lines.join('\n'), /failed to undo: .* did not answer removeSource/);
    withNetns(node.path, () => assert.throws(() => plugin.del(args, context), { message: /removeSource/ }));
  });

  it('does not take a bus that hangs for none', async () => {
    bus.freeze();
    const plugin = createFirewall(() => ({ address: bus.address, timeoutMs: 200 }));
    const args = pluginArgs({}, { prevResult: { ...prevResult, routes: [], dns: {} } });
    for (const verb of ['add', 'check', 'del'] as const) {
      withNetns(node.path, () => {
        assert.throws(() => plugin[verb](args, fakeContext([])), {
          message: 'the D-Bus system bus did not answer within 200 ms',
        });
      });
    }
    assert.deepEqual(await rules(), []);
  });

  it('speaks to a bus at an abstract address', () => {
    using connection = MessageBus.open({ address: `unix:abstract=${bus.path}`, timeoutMs: 20_000 });
    assert.deepEqual(connection.call({ ...BUS, member: 'NameHasOwner', args: ['org.freedesktop.DBus'] }), [
      true,
    ]);
    assert.throws(() => connection.call({ ...BUS, member: 'GetNameOwner', args: ['org.example.Nobody'] }), {
      errorName: 'org.freedesktop.DBus.Error.NameHasNoOwner',
    });
  });
});
