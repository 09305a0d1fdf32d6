import assert from 'node:assert/strict';
import { execa } from 'execa';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { TestNode } from '../../../helpers/node.ts';
import {
  callPlugin,
  callWell,
  otherOf,
  type PluginCall,
  type Provider,
  providers,
} from '../../../helpers/plugin-process.ts';

const netns = '/run/netns/none';

const mappings = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 53, containerPort: 5353, protocol: 'udp' },
  { hostPort: 9090, containerPort: 90, protocol: 'tcp', hostIP: '127.0.0.1' },
  { hostPort: 9091, containerPort: 91, protocol: 'tcp', hostIP: '::1' },
  { hostPort: 9092, containerPort: 92, protocol: 'sctp', hostIP: '0.0.0.0' },
];

function config(address: string, more: JsonObject = {}): JsonObject {
  return {
    cniVersion: '1.0.0',
    name: 'net',
    type: 'portmap',
    runtimeConfig: { portMappings: mappings },
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'cni0' }, { name: 'eth0', sandbox: netns }],
      ips: [
        { interface: 1, address: `10.88.0.${address}/16` },
        { interface: 1, address: `fd88::${address}/64` },
      ],
    },
    ...more,
  };
}

function call(verb: PluginCall['verb'], containerId: string, conf: JsonObject): PluginCall {
  return { verb, type: 'portmap', netns, containerId, config: conf };
}

/** The nat tables of iptables without comments and counters. */
async function iptablesState(node: TestNode): Promise<string[]> {
  const texts = await Promise.all([
    node.run('iptables-save', '-t', 'nat'),
    node.run('ip6tables-save', '-t', 'nat'),
  ]);
  return texts
    .join('\n')
    .split('\n')
    .filter((line) => !line.startsWith('#'));
}

describe('portmap', () => {
  let cleanup: Cleanup;
  let node: TestNode;

  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  const variants: Record<string, JsonObject> = {
    defaults: {},
    'snat off': { snat: false },
    'another mark': { markMasqBit: 5 },
    'conditions of iptables': {
      conditionsV4: ['!', '-d', '192.0.2.0/24'],
      conditionsV6: ['!', '-d', '2001:db8::/64'],
    },
    'more ports than one rule takes': {
      runtimeConfig: {
        portMappings: Array.from({ length: 20 }, (_, index) => ({
          hostPort: 8000 + index,
          containerPort: 80,
          protocol: 'tcp',
        })),
      },
    },
  };
  for (const [what, more] of Object.entries(variants)) {
    it(`leaves the rules that the reference plugin leaves: ${what}`, async () => {
      const other = cleanup.use(await TestNode.create());
      const ours = await callWell(node, 'berth', call('ADD', 'c1', config('5', more)));
      const theirs = await callWell(other, 'reference', call('ADD', 'c1', config('5', more)));
      if (theirs !== undefined) delete theirs['dns'];
      assert.deepEqual(ours, theirs);
      assert.deepEqual(await iptablesState(node), await iptablesState(other));
      await callWell(node, 'berth', call('CHECK', 'c1', config('5', more)));
      await callWell(node, 'berth', call('DEL', 'c1', config('5', more)));
      await callWell(other, 'reference', call('DEL', 'c1', config('5', more)));
      assert.deepEqual(await iptablesState(node), await iptablesState(other));
    });
  }

  it('mends and removes what is left of an ADD of the reference plugin that was broken off at any rule', async () => {
    const clean = cleanup.use(await TestNode.create());
    await callWell(clean, 'berth', call('ADD', 'c1', config('5')));
    const whole = await iptablesState(clean);
    const chain = /^:(CNI-DN-\w+)/m.exec(whole.join('\n'))?.[1] ?? '';
    const own = (await clean.run('iptables-save', '-t', 'nat'))
      .split('\n')
      .filter((line) => line.startsWith('-A CNI-') && line.includes(chain));
    assert.ok(own.length > 5);
    const setMark = ':CNI-HOSTPORT-SETMARK - [0:0]';
    for (const kept of [0, 1, own.length - 2]) {
      const torn = cleanup.use(await TestNode.create());
      // The reference plugin makes its chain, fills it, and then lets packets in.
      const filled = own.toSorted(
        (a, b) => Number(a.includes('HOSTPORT-DNAT')) - Number(b.includes('HOSTPORT-DNAT')),
      );
      const lines = [
        '*nat',
        setMark,
        ':CNI-HOSTPORT-DNAT - [0:0]',
        `:${chain} - [0:0]`,
        ...filled.slice(0, kept),
        'COMMIT',
        '',
      ];
      const [file, args] = torn.command('iptables-restore', '--noflush');
      await execa(file, args, { input: lines.join('\n') });
      await callWell(torn, 'berth', call('DEL', 'c1', config('5')));
      assert.doesNotMatch((await iptablesState(torn)).join('\n'), /CNI-DN-/, `${kept} rules`);
      await execa(file, args, { input: lines.join('\n') });
      await callWell(torn, 'berth', call('ADD', 'c1', config('5')));
      assert.deepEqual((await iptablesState(torn)).sort(), whole.toSorted(), `${kept} rules`);
      await callWell(torn, 'berth', call('CHECK', 'c1', config('5')));
    }
  });

  it('marks whatever comes through a host port with masqAll, which the release of Debian 12 does not know', async () => {
    await callWell(node, 'berth', call('ADD', 'c1', config('5', { masqAll: true })));
    const rules = (await iptablesState(node)).filter(
      (line) => line.startsWith('-A CNI-DN-') && line.includes(' 8080'),
    );
    assert.equal(
      rules.filter((line) => / -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK$/.test(line)).length,
      2,
    );
    assert.equal(
      rules.some((line) => line.includes(' -s ')),
      false,
    );
  });

  it('has as many masquerading rules in nftables with masqAll as without: the CHECK of either implementation counts them', async () => {
    const count = async (id: string, masqAll: boolean): Promise<number> => {
      const one = cleanup.use(await TestNode.create());
      await callWell(one, 'berth', call('ADD', id, config('5', { backend: 'nftables', masqAll })));
      await callWell(one, 'berth', call('CHECK', id, config('5', { backend: 'nftables', masqAll })));
      return (await one.run('nft', 'list', 'ruleset')).match(/ masquerade comment "c1"/g)?.length ?? 0;
    };
    assert.deepEqual([await count('c1', true), await count('c1', false)], [3, 3]);
  });

  it('uses a chain for marking that someone else provides', async () => {
    for (const tool of ['iptables', 'ip6tables']) await node.run(tool, '-t', 'nat', '-N', 'THEIR-MARK');
    await callWell(node, 'berth', call('ADD', 'c1', config('5', { externalSetMarkChain: 'THEIR-MARK' })));
    const rules = (await iptablesState(node)).join('\n');
    assert.match(rules, /--dport 8080 -j THEIR-MARK/);
    assert.doesNotMatch(rules, /SETMARK|MASQ/);
    await callWell(node, 'berth', call('DEL', 'c1', config('5')));
  });

  it('puts its masquerading before what is in POSTROUTING', async () => {
    await node.run('iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '10.88.0.5', '-j', 'ACCEPT');
    await callWell(node, 'berth', call('ADD', 'c1', config('5')));
    const rules = (await iptablesState(node)).filter((line) => line.startsWith('-A POSTROUTING'));
    assert.match(rules[0] ?? '', /CNI-HOSTPORT-MASQ/);
  });

  for (const first of providers) {
    it(`lets the other DEL what ${first} ADDed`, async () => {
      await callWell(node, first, call('ADD', 'c1', config('5')));
      await callWell(node, otherOf[first], call('DEL', 'c1', config('5')));
      const left = (await iptablesState(node)).filter((line) => line.includes('CNI-DN-'));
      assert.deepEqual(left, []);
    });
  }

  const backends: Record<string, (node: TestNode) => Promise<string>> = {
    iptables: async (on) => (await iptablesState(on)).filter((line) => /CNI-DN-|"c\d"/.test(line)).join('\n'),
    nftables: async (on) =>
      (await on.run('nft', 'list', 'ruleset'))
        .split('\n')
        .filter((line) => /comment "c\d"/.test(line))
        .join('\n'),
  };
  for (const [backend, rulesOf] of Object.entries(backends)) {
    describe(`with ${backend}`, () => {
      const add = (id: string, address: string, provider: Provider = 'berth') =>
        callPlugin(node, provider, call('ADD', id, config(address, { backend })));

      it('may be repeated without change, also as DEL', async () => {
        assert.equal((await add('c1', '5')).exitCode, 0);
        const once = await rulesOf(node);
        assert.notEqual(once, '');
        assert.equal((await add('c1', '5')).exitCode, 0);
        assert.equal(await rulesOf(node), once);
        for (let time = 0; time < 2; time += 1)
          await callWell(node, 'berth', call('DEL', 'c1', config('5', { backend })));
        assert.equal(await rulesOf(node), '');
      });

      it('removes the rules on DEL without mappings, previous result or backend', async () => {
        await add('c1', '5');
        await callWell(
          node,
          'berth',
          call('DEL', 'c1', { cniVersion: '1.0.0', name: 'net', type: 'portmap' }),
        );
        assert.equal(await rulesOf(node), '');
      });

      it('names the container that has the port, and leaves its rules alone', async () => {
        await add('c1', '5');
        const before = await rulesOf(node);
        const { exitCode, output } = await add('c2', '6');
        assert.equal(exitCode, 1);
        assert.equal(output?.['msg'], 'host port tcp/8080 is already mapped to container "c1" (10.88.0.5)');
        assert.equal(await rulesOf(node), before);
        await callWell(node, 'berth', call('DEL', 'c1', config('5', { backend })));
        assert.equal((await add('c2', '6')).exitCode, 0);
      });

      it('takes a port over from a container whose address was given to another', async () => {
        await add('c1', '5');
        assert.equal((await add('c2', '5')).exitCode, 0);
        assert.doesNotMatch(await rulesOf(node), /"c1"|id: \\"c1/);
      });

      it('fails CHECK when a rule is missing', async () => {
        await add('c1', '5');
        const check = call('CHECK', 'c1', config('5', { backend }));
        await callWell(node, 'berth', check);
        if (backend === 'nftables')
          await node.run('nft', 'flush', 'chain', 'ip', 'cni_hostport', 'hostports');
        else await node.run('iptables', '-t', 'nat', '-F', 'CNI-HOSTPORT-DNAT');
        assert.equal((await callPlugin(node, 'berth', check)).exitCode, 1);
      });
    });
  }

  it('writes the nftables rules that the reference plugin writes', async () => {
    await callWell(node, 'berth', call('ADD', 'c1', config('5', { backend: 'nftables' })));
    const table = (await node.run('nft', 'list', 'table', 'ip', 'cni_hostport'))
      .split('\n')
      .map((line) => line.trim());
    assert.deepEqual(
      table.filter((line) => line !== '' && line !== '}'),
      [
        'table ip cni_hostport {',
        'comment "CNI portmap plugin"',
        'chain hostports {',
        'tcp dport 8080 dnat to 10.88.0.5:80 comment "c1"',
        'udp dport 53 dnat to 10.88.0.5:5353 comment "c1"',
        'ip daddr 127.0.0.1 tcp dport 9090 dnat to 10.88.0.5:90 comment "c1"',
        'sctp dport 9092 dnat to 10.88.0.5:92 comment "c1"',
        'chain hostip_hostports {',
        'chain hostports_all {',
        'jump hostip_hostports',
        'jump hostports',
        'chain prerouting {',
        'type nat hook prerouting priority dstnat; policy accept;',
        'fib daddr type local jump hostports_all',
        'chain output {',
        'type nat hook output priority -100; policy accept;',
        'fib daddr type local jump hostports_all',
        'chain masquerading {',
        'type nat hook postrouting priority srcnat; policy accept;',
        'ip saddr 10.88.0.5 ip daddr 10.88.0.5 masquerade comment "c1"',
        'ip saddr 127.0.0.1 ip daddr 10.88.0.5 masquerade comment "c1"',
      ],
    );
    const six = await node.run('nft', 'list', 'table', 'ip6', 'cni_hostport');
    assert.match(six, /tcp dport 8080 dnat to \[fd88::5\]:80 comment "c1"/);
    assert.match(six, /ip6 daddr ::1 tcp dport 9091 dnat to \[fd88::5\]:91/);
    assert.doesNotMatch(six, /9090|9092/);
  });

  it('takes conditions of nftables as they are', async () => {
    const more = { backend: 'nftables', conditionsV4: ['ip saddr != 192.0.2.0/24'] };
    await callWell(node, 'berth', call('ADD', 'c1', config('5', more)));
    const table = await node.run('nft', 'list', 'table', 'ip', 'cni_hostport');
    assert.match(table, /ip saddr != 192\.0\.2\.0\/24 fib daddr type local jump hostports_all/);
  });

  it('changes nothing when the rules are refused', async () => {
    const before = await iptablesState(node);
    const { output } = await callPlugin(
      node,
      'berth',
      call('ADD', 'c1', config('5', { conditionsV6: ['-m', 'nosuchmatch'] })),
    );
    assert.match(output?.['msg'] as string, /ip6tables-restore refused the rules/);
    const left = (await iptablesState(node)).filter((line) => line.includes('CNI-DN-'));
    assert.deepEqual(left, []);
    assert.ok(before.length > 0);
  });
});

describe('portmap on the wire', () => {
  let cleanup: Cleanup;
  let node: TestNode;
  let pod: TestNode;

  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    await node.run('ip', 'link', 'add', 'vethx', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
    await node.run('ip', 'address', 'add', '10.88.0.1/16', 'dev', 'vethx');
    await node.run('ip', 'link', 'set', 'vethx', 'up');
    await pod.run('ip', 'address', 'add', '10.88.0.5/16', 'dev', 'eth0');
    await pod.run('ip', 'link', 'set', 'eth0', 'up');
    await pod.run('ip', 'route', 'add', 'default', 'via', '10.88.0.1');
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  it('lets localhost out to the link that leads to the container', async () => {
    await callWell(node, 'berth', call('ADD', 'c1', config('5')));
    assert.equal(await node.run('cat', '/proc/sys/net/ipv4/conf/vethx/route_localnet'), '1');
  });

  for (const verb of ['ADD', 'DEL'] as const) {
    it(`forgets known flows to a UDP host port on ${verb}, and no others`, async () => {
      if (verb === 'DEL') await callWell(node, 'berth', call('ADD', 'c1', config('5')));
      for (const port of ['53', '54']) {
        const to = [
          '--orig-src',
          '10.9.9.9',
          '--orig-dst',
          '10.88.0.1',
          '--orig-port-src',
          '4000',
          '--orig-port-dst',
          port,
        ];
        await node.run('conntrack', '-I', '-p', 'udp', '-t', '60', ...to);
      }
      await callWell(node, 'berth', call(verb, 'c1', config('5')));
      const left = await node.run('conntrack', '-L', '-p', 'udp');
      assert.doesNotMatch(left, /src=10\.9\.9\.9 .*dport=53 /);
      assert.match(left, /src=10\.9\.9\.9 .*dport=54 /);
    });
  }
});
