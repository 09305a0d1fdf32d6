import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../../../src/lib/json.ts';
import type { Hints } from '../../../../src/network/cni/invoke/invoke.ts';
import { CniError, type Result, type Verb } from '../../../../src/network/cni/types.ts';
import { bridge } from '../../../../src/network/plugins/main/bridge/index.ts';
import type { PluginArgs, PluginContext } from '../../../../src/network/plugins/plugin.ts';
import { TestNetns } from '../../../helpers/netns.ts';

/** What a fake IPAM plugin gives. */
const V4: Partial<Result> = { ips: [{ address: '10.99.0.2/24', gateway: '10.99.0.1' }] };
const DUAL: Partial<Result> = {
  ips: [{ address: '10.99.0.2/24' }, { address: 'fd99::2/64', gateway: 'fd99::1' }],
  routes: [{ dst: '192.0.2.0/24' }, { dst: '198.51.100.0/24', gw: '10.99.0.9', priority: 70, mtu: 1300 }],
  dns: { nameservers: ['10.99.0.53'] },
};

describe('bridge plugin on the real kernel', () => {
  let host: TestNetns;
  let pod: TestNetns;
  let calls: Verb[];
  let ipam: Partial<Result>;
  let failing: Verb | undefined;
  let hints: Hints;
  beforeEach(() => {
    [host, pod] = [new TestNetns(), new TestNetns()];
    [calls, ipam, failing, hints] = [[], V4, undefined, {}];
  });
  afterEach(() => {
    host[Symbol.dispose]();
    pod[Symbol.dispose]();
  });

  const context = (): PluginContext => ({
    hints,
    log: () => undefined,
    collect: (_, remove) => remove(),
    leave: () => undefined,
    askLeaseKeeper: () => ({}),
    delegate: (type, verb) => {
      assert.equal(type, 'fake-ipam');
      calls.push(verb);
      if (verb === failing) {
        throw new CniError(999, `${verb} refused`);
      }
      return verb === 'ADD'
        ? { cniVersion: '1.1.0', interfaces: [], ips: [], routes: [], dns: {}, ...ipam }
        : undefined;
    },
  });
  const args = (keys: JsonObject = {}, more: Partial<PluginArgs> = {}): PluginArgs => ({
    containerId: 'c1',
    netns: pod.path,
    ifName: 'eth0',
    args: '',
    path: [],
    config: {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'bridge',
      bridge: 'br-test',
      ipam: { type: 'fake-ipam' },
      ...keys,
    },
    prevResult: undefined,
    ...more,
  });
  const add = (keys: JsonObject = {}, more: Partial<PluginArgs> = {}): Result =>
    host.enter(() => bridge.add(args(keys, more), context()));
  const del = (keys: JsonObject = {}, more: Partial<PluginArgs> = {}): void =>
    host.enter(() => bridge.del(args(keys, more), context()));
  const check = (prevResult: Result | undefined, keys: JsonObject = {}): void =>
    host.enter(() => bridge.check(args(keys, { prevResult }), context()));
  const veths = (): string[] =>
    host.ip('link').flatMap(({ ifname }) => (String(ifname).startsWith('veth') ? [String(ifname)] : []));
  const port = (): Record<string, unknown> => host.link(veths()[0] ?? '') ?? assert.fail('no port');
  const isUp = (): boolean => (pod.link('eth0')?.['flags'] as string[]).includes('UP');
  const slaveData = (): Record<string, unknown> =>
    (port()['linkinfo'] as { info_slave_data: Record<string, unknown> }).info_slave_data;

  it('connects a container, and says how', () => {
    const result = add({ isDefaultGateway: true });
    const [br, veth, eth0] = result.interfaces;
    assert.deepEqual(br, { name: 'br-test', mac: host.link('br-test')?.['address'] });
    assert.match(veth?.name ?? '', /^veth[0-9a-f]{8}$/);
    assert.deepEqual(veth, { name: veths()[0], mac: port()['address'] });
    assert.deepEqual(eth0, { name: 'eth0', mac: pod.link('eth0')?.['address'], sandbox: pod.path });
    assert.deepEqual(result.ips, [{ address: '10.99.0.2/24', gateway: '10.99.0.1', interface: 2 }]);
    assert.deepEqual(result.routes, [{ dst: '0.0.0.0/0', gw: '10.99.0.1' }]);
    assert.deepEqual(
      [host.addresses('br-test'), pod.addresses('eth0')],
      [['10.99.0.1/24'], ['10.99.0.2/24']],
    );
    const [info] = (pod.ip('addr', 'show', 'dev', 'eth0')[0]?.['addr_info'] ?? []) as Record<
      string,
      unknown
    >[];
    assert.equal(info?.['broadcast'], '10.99.0.255');
    assert.deepEqual([port()['master'], port()['operstate'], isUp()], ['br-test', 'UP', true]);
    assert.equal(host.sysctl('net/ipv4/ip_forward'), '1');
    assert.equal(host.sysctl('net/ipv6/conf/br-test/accept_ra'), '0');
    assert.equal(host.sysctl(`net/ipv6/conf/${veths()[0] ?? ''}/accept_ra`), '0');
    assert.deepEqual(
      [pod.sysctl('net/ipv4/conf/eth0/arp_notify'), pod.sysctl('net/ipv6/conf/eth0/accept_dad')],
      ['1', '0'],
    );
    assert.match(pod.run('ping', '-c1', '-W2', '10.99.0.1'), /1 received/);
    check(result, { isDefaultGateway: true });
  });

  it('gives both families, routes with all that they have, and DNS', () => {
    ipam = DUAL;
    const result = add({ isGateway: true });
    assert.deepEqual(
      result.ips.map(({ gateway }) => gateway),
      ['10.99.0.1', 'fd99::1'],
    );
    assert.deepEqual(host.addresses('br-test'), ['10.99.0.1/24', 'fd99::1/64']);
    assert.deepEqual(pod.addresses('eth0'), ['10.99.0.2/24', 'fd99::2/64']);
    const routes = pod.ip('route');
    const via = (dst: string): Record<string, unknown> => routes.find((route) => route['dst'] === dst) ?? {};
    assert.equal(via('192.0.2.0/24')['gateway'], '10.99.0.1');
    const special = via('198.51.100.0/24');
    assert.deepEqual([special['gateway'], special['metric']], ['10.99.0.9', 70]);
    assert.deepEqual(special['metrics'], [{ mtu: 1300 }]);
    assert.equal(host.sysctl('net/ipv6/conf/all/forwarding'), '1');
    assert.equal(pod.sysctl('net/ipv6/conf/eth0/keep_addr_on_down'), '1');
    assert.deepEqual(result.dns, { nameservers: ['10.99.0.53'] });
    pod.run('ip', 'link', 'set', 'lo', 'up');
    assert.match(pod.run('ping', '-6', '-c1', '-W2', 'fd99::2'), /1 received/);
    check(result, { isGateway: true });
  });

  it('enables IPv6 in a container that has it disabled', () => {
    ipam = DUAL;
    pod.run('sh', '-c', 'for i in all default lo; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done');
    add();
    assert.deepEqual(pod.addresses('eth0'), ['10.99.0.2/24', 'fd99::2/64']);
  });

  it('prefers the DNS of its own configuration', () => {
    ipam = DUAL;
    assert.deepEqual(add({ dns: { domain: 'test' } }).dns, { domain: 'test' });
  });

  it('keeps a default route that IPAM gives', () => {
    ipam = { ...V4, routes: [{ dst: '0.0.0.0/0', gw: '10.99.0.254' }] };
    assert.deepEqual(add({ isDefaultGateway: true }).routes, ipam.routes);
  });

  it('serves a network without addresses', () => {
    const result = add({ ipam: {} });
    assert.deepEqual([result.ips, result.routes, calls], [[], [], []]);
    assert.ok(isUp());
    del({ ipam: {} });
    assert.deepEqual([veths(), calls], [[], []]);
  });

  it('leaves the container interface down when told to', () => {
    add({ ipam: {}, disableContainerInterface: true });
    assert.ok(!isUp());
  });

  it('sets hairpin mode, isolation, MTU and hardware address', () => {
    const result = add({
      hairpinMode: true,
      portIsolation: true,
      mtu: 1400,
      runtimeConfig: { mac: 'C2-11-22-33-44-55' },
    });
    assert.deepEqual([slaveData()['hairpin'], slaveData()['isolated']], [true, true]);
    assert.deepEqual(
      [pod.link('eth0')?.['mtu'], port()['mtu'], host.link('br-test')?.['mtu']],
      [1400, 1400, 1400],
    );
    assert.equal(pod.link('eth0')?.['address'], 'c2:11:22:33:44:55');
    assert.equal(result.interfaces[2]?.mac, 'c2:11:22:33:44:55');
  });

  it('makes the bridge promiscuous, and takes one that is there', () => {
    host.run('ip', 'link', 'add', 'br-test', 'type', 'bridge');
    const result = add({ promiscMode: true });
    assert.equal(host.link('br-test')?.['promiscuity'], 1);
    check(result, { promiscMode: true });
    assert.throws(() => check(result), /Promisc Mode false doesn't match current state: true/);
  });

  it('keeps the hardware address of the bridge while containers come and go', () => {
    using other = new TestNetns();
    host.run('ip', 'link', 'add', 'br-test', 'type', 'bridge');
    add({ isGateway: true, runtimeConfig: { mac: '02:00:00:00:00:02' } });
    const mac = host.link('br-test')?.['address'];
    ipam = { ips: [{ address: '10.99.0.3/24' }] };
    const second = add({ isGateway: true }, { netns: other.path, containerId: 'c2' });
    assert.equal(host.link('br-test')?.['address'], mac);
    assert.equal(second.interfaces[0]?.mac, mac);
    del();
    assert.equal(host.link('br-test')?.['address'], mac);
  });

  it('gives an unused bridge another address, as when the subnet of the node has changed', () => {
    host.run('ip', 'link', 'add', 'br-test', 'type', 'bridge');
    host.run('ip', 'addr', 'add', '10.50.0.1/24', 'dev', 'br-test');
    add({ isGateway: true });
    assert.deepEqual(host.addresses('br-test'), ['10.99.0.1/24']);
  });

  it('names the number of a route that the kernel has no room for', () => {
    for (const [wrong, problem] of [
      [{ priority: -5 }, 'priority -5 is not between 0 and 4294967295'],
      [{ mtu: -5 }, 'mtu -5 is not between 0 and 4294967295'],
      [{ table: -5 }, 'table -5 is not between 0 and 4294967295'],
      [{ scope: 300 }, 'scope 300 is not between 0 and 255'],
    ] as const) {
      ipam = { ...V4, routes: [{ dst: '192.0.2.0/24', ...wrong }] };
      const message = new RegExp(
        `^failed to add route '192.0.2.0/24 via 10.99.0.1 dev eth0 .*': ${problem}$`,
      );
      assert.throws(() => add(), { message });
    }
    assert.deepEqual(veths(), []);
  });

  it('does not replace one gateway of a container by another of its own, unless forced', () => {
    ipam = { ips: [{ address: '10.99.0.2/24' }, { address: '10.98.0.2/24' }] };
    assert.throws(() => add({ isGateway: true }), {
      message: 'failed to set bridge addr: "br-test" already has an IP address different from 10.98.0.1/24',
      details: '10.99.0.1/24 is a gateway of the same network',
    });
    assert.deepEqual([veths(), calls, pod.link('eth0')], [[], ['ADD', 'DEL'], undefined]);
    add({ isGateway: true, forceAddress: true });
    assert.deepEqual(host.addresses('br-test'), ['10.98.0.1/24']);
  });

  describe('that has another address', () => {
    let cacheDir: string;
    beforeEach(() => {
      cacheDir = mkdtempSync(join(tmpdir(), 'berth-cache-'));
      host.run('ip', 'link', 'add', 'br-test', 'type', 'bridge');
      host.run('ip', 'link', 'add', 'taken', 'master', 'br-test', 'type', 'ifb');
      host.run('ip', 'addr', 'add', '10.50.0.1/24', 'dev', 'br-test');
    });
    afterEach(() => rmSync(cacheDir, { recursive: true }));

    const cached = (
      containerId: string,
      port: string,
      cniArgs: readonly (readonly string[])[] = [],
    ): void => {
      const interfaces = [{ name: 'br-test' }, { name: port }, { name: 'eth0', sandbox: '/n' }];
      const content = {
        kind: 'cniCacheV1',
        containerId,
        ifName: 'eth0',
        networkName: 'net',
        cniArgs,
        result: { cniVersion: '1.0.0', interfaces },
      };
      mkdirSync(join(cacheDir, 'results'), { recursive: true });
      writeFileSync(join(cacheDir, 'results', `net-${containerId}-eth0`), JSON.stringify(content));
    };

    it('is refused when it is in use, with what was made undone, or replaced by force', () => {
      assert.throws(() => add({ isGateway: true }), {
        message: 'failed to set bridge addr: "br-test" already has an IP address different from 10.99.0.1/24',
        code: 999,
        details: 'in use by port taken, which have to go first',
      });
      assert.deepEqual([veths(), calls, pod.link('eth0')], [[], ['ADD', 'DEL'], undefined]);
      add({ isGateway: true, forceAddress: true });
      assert.deepEqual(host.addresses('br-test'), ['10.99.0.1/24']);
    });

    it('is refused with the pods that use it, which cached results name, whoever made them', () => {
      hints = { cacheDir };
      host.run('ip', 'link', 'add', 'other', 'master', 'br-test', 'type', 'ifb');
      host.run('ip', 'link', 'add', 'third', 'master', 'br-test', 'type', 'ifb');
      cached('c8', 'taken', [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', 'shop'],
        ['K8S_POD_NAME', 'web'],
      ]);
      cached('c9', 'other');
      writeFileSync(join(cacheDir, 'results', 'net-torn-eth0'), '{"kind":"cniCac');
      writeFileSync(join(cacheDir, 'results', 'net-empty-eth0'), '');
      assert.throws(() => add({ isGateway: true }), {
        details: 'in use by pod shop/web (taken), container c9 (other), port third, which have to go first',
      });
    });

    it('is refused with ten users by name, and how many more there are', () => {
      for (let i = 0; i < 12; i += 1)
        host.run('ip', 'link', 'add', `user${i}`, 'master', 'br-test', 'type', 'ifb');
      assert.throws(() => add({ isGateway: true }), {
        details: /^in use by (port \w+, ){9}port \w+ and 3 more, which have to go first$/,
      });
    });
  });

  it('refuses a link of the name that is no bridge', () => {
    host.run('ip', 'link', 'add', 'br-test', 'type', 'veth', 'peer', 'name', 'other');
    assert.throws(() => add(), {
      message: 'failed to create bridge "br-test": "br-test" already exists but is not a bridge',
    });
    assert.deepEqual(calls, []);
  });

  it('refuses a container that has an interface of the name, and leaves it alone', () => {
    pod.run('ip', 'link', 'add', 'eth0', 'type', 'bridge');
    assert.throws(
      () => add(),
      /container veth name \("eth0"\) peer provided \("veth[0-9a-f]{8}"\) already exists/,
    );
    assert.equal((pod.link('eth0')?.['linkinfo'] as { info_kind: string }).info_kind, 'bridge');
    assert.deepEqual(veths(), []);
  });

  it('undoes everything when IPAM fails, gives nothing, or gives what the kernel refuses', () => {
    failing = 'ADD';
    assert.throws(() => add(), { message: 'ADD refused' });
    failing = undefined;
    ipam = { ips: [] };
    assert.throws(() => add(), { message: 'IPAM plugin returned missing IP config' });
    ipam = { ...V4, routes: [{ dst: '192.0.2.0/24', gw: '203.0.113.1' }] };
    assert.throws(() => add(), {
      message:
        "failed to add route '192.0.2.0/24 via 203.0.113.1 dev eth0 metric 0 (Scope: 0, Table: 0)': network is unreachable",
      details: 'Nexthop has invalid gateway',
    });
    assert.deepEqual(calls, ['ADD', 'ADD', 'DEL', 'ADD', 'DEL']);
    assert.deepEqual([veths(), pod.link('eth0')], [[], undefined]);
    ipam = V4;
    add();
  });

  it('reports the first error when undoing fails too', () => {
    ipam = { ips: [] };
    failing = 'DEL';
    assert.throws(() => add(), { message: 'IPAM plugin returned missing IP config' });
    assert.deepEqual(veths(), []);
  });

  it('takes no routes from containers, on a bridge that somebody else made either', () => {
    host.run('ip', 'link', 'add', 'br-test', 'type', 'bridge');
    assert.notEqual(host.sysctl('net/ipv6/conf/br-test/accept_ra'), '0');
    add();
    assert.equal(host.sysctl('net/ipv6/conf/br-test/accept_ra'), '0');
  });

  it('makes nothing when the namespace is none', () => {
    const absent = '/run/netns/brt-absent';
    assert.throws(() => add({}, { netns: absent }), {
      message: `failed to open netns "${absent}": failed to Statfs "${absent}": no such file or directory`,
    });
    assert.throws(() => add({}, { netns: '/etc/hostname' }), {
      message: /^failed to open netns "\/etc\/hostname": unknown FS magic on "\/etc\/hostname": [0-9a-f]+$/,
    });
    assert.equal(host.link('br-test'), undefined);
  });

  it('masquerades, and takes that back with the namespace gone', () => {
    const rules = (): string => host.run('iptables-save', '-t', 'nat');
    const result = add({ ipMasq: true, ipMasqBackend: 'iptables' });
    assert.match(rules(), /-A POSTROUTING -s 10\.99\.0\.2\/32 .*-j CNI-[0-9a-f]{24}/);
    del({ ipMasq: true, ipMasqBackend: 'iptables' }, { netns: '', prevResult: result });
    assert.doesNotMatch(rules(), /CNI-/);
    assert.deepEqual(calls, ['ADD', 'DEL']);
  });

  it('disconnects a container, once and again', () => {
    add();
    del();
    assert.deepEqual([veths(), pod.link('eth0')], [[], undefined]);
    del();
    del({}, { netns: '' });
    del({}, { netns: '/run/netns/brt-absent' });
    assert.deepEqual(calls, ['ADD', 'DEL', 'DEL', 'DEL', 'DEL']);
  });

  it('leaves the link to a namespace that is about to end, but sets it down', () => {
    add();
    assert.match(pod.run('ip', 'link', 'show', 'eth0'), /[<,]UP[,>]/);
    hints = { namespaceEnds: true };
    del();
    assert.deepEqual([veths().length, calls], [1, ['ADD', 'DEL']]);
    assert.doesNotMatch(pod.run('ip', 'link', 'show', 'eth0'), /[<,]UP[,>]/);
  });

  it('releases the address even if the link cannot be deleted, and says so', () => {
    assert.throws(() => del({}, { ifName: 'lo' }), /failed to delete "lo": operation not supported/);
    assert.deepEqual(calls, ['DEL']);
  });

  it('reports a failing IPAM after the link is gone', () => {
    add();
    failing = 'DEL';
    assert.throws(() => del(), { message: 'DEL refused' });
    assert.deepEqual(veths(), []);
  });

  it('CHECK finds what is amiss', () => {
    const result = add({ isDefaultGateway: true });
    const broken = (change: () => void, message: RegExp): void => {
      change();
      assert.throws(() => check(result), message);
    };
    assert.throws(() => check(undefined), /Required prevResult missing/);
    assert.throws(
      () => check({ ...result, interfaces: result.interfaces.slice(0, 1) }),
      /doesn't match configured netns/,
    );
    broken(
      () => pod.run('ip', 'route', 'del', 'default'),
      /Expected Route 0\.0\.0\.0\/0 via 10\.99\.0\.1 not found/,
    );
    broken(
      () => pod.run('ip', 'addr', 'flush', 'dev', 'eth0'),
      /Failed to match addr 10\.99\.0\.2\/24 on interface eth0/,
    );
    broken(
      () => host.run('ip', 'link', 'set', veths()[0] ?? '', 'nomaster'),
      /CNI veth created for bridge br-test was not found/,
    );
    broken(
      () => pod.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:01'),
      /doesn't match container Mac/,
    );
    broken(() => pod.run('ip', 'link', 'del', 'eth0'), /Interface name eth0 not found/);
    broken(() => host.run('ip', 'link', 'del', 'br-test'), /Interface name br-test not found/);
    failing = 'CHECK';
    assert.throws(() => check(result), { message: 'CHECK refused' });
  });

  it('hands STATUS and GC to IPAM', () => {
    failing = 'STATUS';
    assert.throws(() => bridge.status?.(args(), context()), { message: 'STATUS refused' });
    bridge.status?.(args({ ipam: {} }), context());
    failing = 'GC';
    assert.throws(() => bridge.gc?.(args(), context()), { message: 'GC refused' });
    bridge.gc?.(args({ ipam: {} }), context());
  });

  it('leaves no descriptor open', () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const rounds = 20;
    const before = descriptors();
    for (let round = 0; round < rounds; round++) {
      check(add({ ipam: {} }), { ipam: {} });
      del({ ipam: {} });
      assert.throws(() => add({}, { netns: '/etc/hostname' }));
    }
    // Node itself opens and closes some; a leak would leave one for each round at least.
    assert.ok(descriptors() - before < rounds / 2, `${before} before, ${descriptors()} after`);
  });
});
