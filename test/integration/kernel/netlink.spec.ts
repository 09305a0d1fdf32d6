import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { SyscallError } from '../../../src/kernel/errno.ts';
import { AF_BRIDGE, AF_INET, AF_INET6 } from '../../../src/kernel/libc.ts';
import {
  deleteAddress,
  Ifa,
  listAddresses,
  newAddress,
  replaceAddress,
} from '../../../src/kernel/netlink/addresses.ts';
import { addPortVlan } from '../../../src/kernel/netlink/bridge-vlans.ts';
import {
  bridgeData,
  changeBridgePort,
  changeLink,
  deleteLink,
  findLink,
  getLink,
  type Link,
  listLinks,
  LOOPBACK_INDEX,
  newLink,
  vethData,
  vxlanData,
} from '../../../src/kernel/netlink/links.ts';
import {
  deleteForwarding,
  deleteNeighbour,
  listNeighbours,
  setForwarding,
  setNeighbour,
} from '../../../src/kernel/netlink/neighbours.ts';
import {
  deleteQdisc,
  listQdiscs,
  newQdisc,
  replaceQdisc,
  TC_H_INGRESS,
  tbfOptions,
} from '../../../src/kernel/netlink/qdiscs.ts';
import {
  appendRoute,
  deleteRoute,
  listRoutes,
  newRoute,
  replaceRoute,
} from '../../../src/kernel/netlink/routes.ts';
import { NetlinkSocket } from '../../../src/kernel/netlink/socket.ts';
import { TestNetns } from '../../helpers/netns.ts';

describe('rtnetlink on the real kernel', () => {
  let netns: TestNetns;
  let socket: NetlinkSocket;
  beforeEach(() => {
    netns = new TestNetns();
    socket = NetlinkSocket.openIn(netns.path);
  });
  afterEach(() => {
    socket.close();
    netns[Symbol.dispose]();
  });

  const link = (name: string): Link => findLink(socket, name) ?? assert.fail(`no link ${name}`);
  const bridge = (name: string): Link => {
    socket.request(newLink({ name, kind: 'bridge', up: true }));
    return link(name);
  };
  const veth = (name: string): Link => {
    socket.request(newLink({ name, kind: 'veth', up: true, data: vethData({ name: `${name}-peer` }) }));
    socket.request(changeLink(link(`${name}-peer`).index, { up: true }));
    return link(name);
  };
  const refusal = (fn: () => unknown): SyscallError => {
    try {
      fn();
    } catch (error) {
      assert.ok(error instanceof SyscallError, String(error));
      return error;
    }
    return assert.fail('the kernel did not refuse');
  };

  it('speaks for the namespace that the socket was opened in', () => {
    veth('here');
    assert.deepEqual(
      listLinks(socket)
        .map(({ name }) => name)
        .toSorted(),
      ['here', 'here-peer', 'lo'],
    );
    using host = NetlinkSocket.open();
    assert.equal(findLink(host, 'here'), undefined);
  });

  it('makes a veth pair with its other end in another namespace, in one request', () => {
    using other = new TestNetns();
    const br = bridge('br0');
    const fd = openSync(other.path, 'r');
    try {
      const data = vethData({ name: 'eth0', mtu: 1400, mac: '02:00:00:00:00:02', netnsFd: fd });
      const spec = {
        name: 'veth0',
        kind: 'veth',
        mtu: 1400,
        mac: '02:00:00:00:00:01',
        master: br.index,
        up: true,
        data,
      };
      socket.request(newLink(spec));
    } finally {
      closeSync(fd);
    }
    const host = netns.link('veth0');
    assert.deepEqual(
      [host?.['mtu'], host?.['address'], host?.['master']],
      [1400, '02:00:00:00:00:01', 'br0'],
    );
    const inside = other.link('eth0');
    assert.deepEqual(
      [inside?.['mtu'], inside?.['address'], inside?.['operstate']],
      [1400, '02:00:00:00:00:02', 'DOWN'],
    );
    const seen = link('veth0');
    assert.equal(seen.kind, 'veth');
    assert.equal(seen.peer, inside?.['ifindex']);
    assert.equal(seen.master, br.index);
    assert.equal(typeof seen.peerNetnsId, 'number');
    assert.deepEqual(seen.port, { hairpin: false, isolated: false });
  });

  it('changes links: name, MTU, address, alias, promiscuity, up and down, master', () => {
    const { index } = veth('one');
    const br = bridge('br0');
    socket.request(changeLink(index, { up: false }));
    socket.request(
      changeLink(index, {
        name: 'two',
        mtu: 1300,
        mac: '02:00:00:00:00:09',
        alias: 'a pod',
        promiscuous: true,
      }),
    );
    const { name, mtu, mac, alias, promiscuity } = link('two');
    assert.deepEqual(
      { name, mtu, mac, alias, promiscuity },
      { name: 'two', mtu: 1300, mac: '02:00:00:00:00:09', alias: 'a pod', promiscuity: 1 },
    );
    const seen = netns.link('two');
    assert.deepEqual(
      [seen?.['mtu'], seen?.['address'], seen?.['ifalias']],
      [1300, '02:00:00:00:00:09', 'a pod'],
    );
    socket.request(changeLink(index, { master: br.index }));
    assert.deepEqual(
      listLinks(socket, { master: br.index }).map((each) => each.name),
      ['two'],
    );
    socket.request(changeLink(index, { master: 0 }));
    assert.equal(link('two').master, 0);
  });

  it('moves a link to another namespace', () => {
    using other = new TestNetns();
    const { index } = veth('mover');
    const fd = openSync(other.path, 'r');
    try {
      socket.request(changeLink(index, { netnsFd: fd }));
    } finally {
      closeSync(fd);
    }
    assert.equal(findLink(socket, 'mover'), undefined);
    assert.notEqual(other.link('mover'), undefined);
  });

  it('sets hairpin and isolation of a bridge port', () => {
    const br = bridge('br0');
    const { index } = veth('port');
    socket.request(changeLink(index, { master: br.index }));
    socket.request(changeBridgePort(index, { hairpin: true, isolated: true }));
    assert.deepEqual(link('port').port, { hairpin: true, isolated: true });
    socket.request(changeBridgePort(index, { hairpin: false }));
    assert.deepEqual(link('port').port, { hairpin: false, isolated: true });
  });

  it('says that a VLAN of a port needs a kernel with VLAN filtering, or sets it', () => {
    const br = bridge('br0');
    const { index } = veth('port');
    socket.request(changeLink(index, { master: br.index }));
    const [made] = socket.batch([addPortVlan({ index, id: 100, pvid: true, untagged: true })]);
    if (made?.ok === false) {
      assert.ok(['EOPNOTSUPP', 'EINVAL'].includes(made.error.code), made.error.message);
      return;
    }
    const vlans = execFileSync('bridge', ['-n', netns.name, 'vlan', 'show', 'dev', 'port'], {
      encoding: 'utf8',
    });
    assert.match(vlans, /100 PVID Egress Untagged/);
  });

  it('refuses bridge options that the kernel does not have, in its own words', () => {
    const [made] = socket.batch([
      newLink({ name: 'br0', kind: 'bridge', data: bridgeData({ vlanFiltering: true }) }),
    ]);
    assert.equal(made?.ok === true || ['EINVAL', 'EOPNOTSUPP'].includes(made?.error.code ?? ''), true);
  });

  it('finds no link that does not exist, by name or index', () => {
    assert.equal(findLink(socket, 'absent'), undefined);
    assert.equal(findLink(socket, 4711), undefined);
  });

  it('deletes a link', () => {
    socket.request(deleteLink(veth('gone').index));
    assert.equal(findLink(socket, 'gone'), undefined);
    assert.equal(findLink(socket, 'gone-peer'), undefined);
    assert.equal(refusal(() => socket.request(deleteLink(4711))).code, 'ENODEV');
  });

  it('names request, subject and errno of a refusal, and what the kernel said', () => {
    veth('twice');
    const taken = refusal(() => veth('twice'));
    assert.deepEqual([taken.code, taken.syscall, taken.subject], ['EEXIST', 'RTM_NEWLINK', 'link "twice"']);
    const strange = refusal(() => socket.request(newLink({ name: 'x', kind: 'nonsense' })));
    assert.deepEqual([strange.code, strange.detail], ['EOPNOTSUPP', 'Unknown device type']);
  });

  it('works through a batch past a refusal, and answers in order', () => {
    const answers = socket.batch([
      newLink({ name: 'a', kind: 'bridge' }),
      newLink({ name: 'a', kind: 'bridge' }),
      getLink('a'),
      getLink('absent'),
      newLink({ name: 'b', kind: 'bridge' }),
    ]);
    assert.deepEqual(
      answers.map(({ ok }) => ok),
      [true, false, true, false, true],
    );
    assert.notEqual(netns.link('b'), undefined);
    assert.throws(() => socket.requestAll([getLink('b'), getLink('absent')]), { code: 'ENODEV' });
  });

  it('adds, lists, replaces and deletes addresses of both families', () => {
    const { index } = veth('eth0');
    socket.requestAll([
      newAddress({ index, address: '10.1.2.3/24', broadcast: '10.1.2.255' }),
      newAddress({ index, address: 'fd00::5/64', nodad: true }),
    ]);
    assert.deepEqual(netns.addresses('eth0'), ['10.1.2.3/24', 'fd00::5/64']);
    const [v4] = listAddresses(socket, { index, family: AF_INET });
    assert.deepEqual(v4, {
      index,
      address: '10.1.2.3/24',
      peer: '',
      broadcast: '10.1.2.255',
      label: 'eth0',
      scope: 0,
      flags: Ifa.PERMANENT,
    });
    const v6 = listAddresses(socket, { index, family: AF_INET6 }).find(
      ({ address }) => address === 'fd00::5/64',
    );
    assert.equal((v6?.flags ?? 0) & (Ifa.TENTATIVE | Ifa.NODAD), Ifa.NODAD);
    assert.equal(refusal(() => socket.request(newAddress({ index, address: '10.1.2.3/24' }))).code, 'EEXIST');
    socket.request(replaceAddress({ index, address: '10.1.2.3/24' }));
    socket.request(deleteAddress({ index, address: '10.1.2.3/24' }));
    assert.equal(
      refusal(() => socket.request(deleteAddress({ index, address: '10.1.2.3/24' }))).code,
      'EADDRNOTAVAIL',
    );
    assert.deepEqual(listAddresses(socket, { index: LOOPBACK_INDEX }), []);
  });

  it('adds, lists, replaces, appends and deletes routes of both families', () => {
    const { index } = veth('eth0');
    socket.requestAll([
      newAddress({ index, address: '10.1.2.3/24' }),
      newAddress({ index, address: 'fd00::5/64', nodad: true }),
      newRoute({ destination: '0.0.0.0/0', index, gateway: '10.1.2.1' }),
      newRoute({ destination: '::/0', index, gateway: 'fd00::1' }),
      newRoute({
        destination: '10.9.0.0/16',
        index,
        gateway: '10.1.2.1',
        priority: 50,
        mtu: 1400,
        advmss: 1300,
      }),
      newRoute({ destination: '10.8.0.0/16', index, table: 1000, scope: 253 }),
      newRoute({ destination: '192.0.2.0/24', index, gateway: '198.51.100.1', onlink: true }),
    ]);
    const find = (destination: string, table?: number): Record<string, unknown> => {
      const family = destination.includes(':') ? AF_INET6 : AF_INET;
      const route = listRoutes(socket, { family, index, ...(table === undefined ? {} : { table }) }).find(
        (each) => each.destination === destination,
      );
      return route === undefined ? assert.fail(`no route ${destination}`) : { ...route };
    };
    assert.equal(find('0.0.0.0/0')['gateway'], '10.1.2.1');
    assert.equal(find('::/0')['gateway'], 'fd00::1');
    const { priority, mtu, advmss } = find('10.9.0.0/16');
    assert.deepEqual({ priority, mtu, advmss }, { priority: 50, mtu: 1400, advmss: 1300 });
    assert.equal(find('10.8.0.0/16', 1000)['scope'], 253);
    const shown = netns.ip('route');
    assert.ok(
      shown.some(({ dst, gateway, dev }) => dst === 'default' && gateway === '10.1.2.1' && dev === 'eth0'),
    );
    assert.ok(
      shown.some(({ dst, flags }) => dst === '192.0.2.0/24' && (flags as string[]).includes('onlink')),
    );
    assert.equal(
      refusal(() => socket.request(newRoute({ destination: '0.0.0.0/0', index, gateway: '10.1.2.9' }))).code,
      'EEXIST',
    );
    socket.request(replaceRoute({ destination: '0.0.0.0/0', index, gateway: '10.1.2.9' }));
    assert.equal(find('0.0.0.0/0')['gateway'], '10.1.2.9');
    socket.request(appendRoute({ destination: '0.0.0.0/0', index, gateway: '10.1.2.8' }));
    socket.request(deleteRoute({ destination: '0.0.0.0/0', index, gateway: '10.1.2.9' }));
    assert.equal(find('0.0.0.0/0')['gateway'], '10.1.2.8');
    assert.equal(
      refusal(() => socket.request(deleteRoute({ destination: '203.0.113.0/24', index }))).code,
      'ESRCH',
    );
    const unreachable = refusal(() =>
      socket.request(newRoute({ destination: '203.0.113.0/24', index, gateway: '198.51.100.1' })),
    );
    assert.deepEqual([unreachable.code, unreachable.detail], ['ENETUNREACH', 'Nexthop has invalid gateway']);
  });

  it('lists no routes of a table that does not exist yet', () => {
    for (const family of [AF_INET, AF_INET6] as const) {
      assert.deepEqual(listRoutes(socket, { family }), []);
      assert.deepEqual(listRoutes(socket, { family, table: 4711 }), []);
    }
  });

  it('sets, lists and deletes neighbours', () => {
    const { index } = veth('eth0');
    socket.request(setNeighbour({ index, destination: '10.1.2.9', mac: '02:00:00:00:00:09' }));
    const [found] = listNeighbours(socket, { family: AF_INET, index });
    assert.deepEqual([found?.destination, found?.mac], ['10.1.2.9', '02:00:00:00:00:09']);
    assert.equal(netns.ip('neigh')[0]?.['lladdr'], '02:00:00:00:00:09');
    socket.request(deleteNeighbour({ index, destination: '10.1.2.9' }));
    assert.equal(netns.ip('neigh', 'show', 'nud', 'permanent').length, 0);
  });

  it('makes a vxlan link and its forwarding entries', () => {
    const { index: device } = veth('eth0');
    socket.request(newAddress({ index: device, address: '10.1.2.3/24' }));
    const data = vxlanData({ id: 1, device, local: '10.1.2.3', port: 8472, learning: false });
    socket.request(newLink({ name: 'flannel.1', kind: 'vxlan', up: true, data }));
    const info = (netns.link('flannel.1')?.['linkinfo'] as { info_data: Record<string, unknown> }).info_data;
    assert.deepEqual(
      [info['id'], info['local'], info['port'], info['learning']],
      [1, '10.1.2.3', 8472, false],
    );
    const { index } = link('flannel.1');
    const entry = { index, mac: '02:00:00:00:00:07', destination: '10.1.2.7' };
    socket.request(setForwarding(entry));
    assert.ok(
      listNeighbours(socket, { family: AF_BRIDGE, index }).some(
        ({ mac, destination }) => mac === entry.mac && destination === '10.1.2.7',
      ),
    );
    assert.match(
      execFileSync('bridge', ['-n', netns.name, 'fdb', 'show', 'dev', 'flannel.1'], { encoding: 'utf8' }),
      /02:00:00:00:00:07 dst 10\.1\.2\.7/,
    );
    socket.request(deleteForwarding(entry));
    assert.ok(!listNeighbours(socket, { family: AF_BRIDGE, index }).some(({ mac }) => mac === entry.mac));
  });

  it('adds, lists, replaces and deletes queueing disciplines', () => {
    const { index } = veth('eth0');
    const options = tbfOptions({ rate: 125_000n, burst: 10_000, limit: 20_000 });
    socket.request(newQdisc({ index, kind: 'tbf', options }));
    const tbf = (): Record<string, unknown> | undefined => {
      const shown = JSON.parse(
        execFileSync('tc', ['-n', netns.name, '-j', 'qdisc', 'show', 'dev', 'eth0'], { encoding: 'utf8' }),
      ) as Record<string, unknown>[];
      return shown.find(({ kind }) => kind === 'tbf')?.['options'] as Record<string, unknown> | undefined;
    };
    assert.equal(tbf()?.['rate'], 125_000);
    assert.ok(listQdiscs(socket, { index }).some(({ kind }) => kind === 'tbf'));
    socket.request(
      replaceQdisc({
        index,
        kind: 'tbf',
        options: tbfOptions({ rate: 5_000_000_000n, burst: 10_000_000, limit: 20_000_000 }),
      }),
    );
    assert.equal(tbf()?.['rate'], 5_000_000_000);
    socket.request(newQdisc({ index, kind: 'ingress', parent: TC_H_INGRESS }));
    assert.ok(listQdiscs(socket, { index }).some(({ kind }) => kind === 'ingress'));
    socket.request(deleteQdisc({ index, kind: 'ingress', parent: TC_H_INGRESS }));
    socket.request(deleteQdisc({ index, kind: 'tbf' }));
    assert.ok(!listQdiscs(socket, { index }).some(({ kind }) => kind === 'tbf' || kind === 'ingress'));
  });

  it('lists more links than one datagram holds', () => {
    const names = Array.from({ length: 150 }, (_, index) => `br-${index}`);
    socket.requestAll(names.map((name) => newLink({ name, kind: 'bridge' })));
    assert.equal(listLinks(socket).filter(({ kind }) => kind === 'bridge').length, 150);
  });

  it('says which path is no namespace', () => {
    assert.throws(() => NetlinkSocket.openIn('/run/netns/brt-absent'), { code: 'ENOENT' });
    assert.throws(() => NetlinkSocket.openIn('/etc/hostname'), {
      name: 'SyscallError',
      syscall: 'setns',
      code: 'EINVAL',
    });
  });
});
