import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseSaved } from '../../../../src/kernel/iptables.ts';
import type { Route } from '../../../../src/kernel/netlink/routes.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { limitsOf } from '../../../../src/network/plugins/meta/bandwidth/conf.ts';
import { bandwidth, ifbName } from '../../../../src/network/plugins/meta/bandwidth/index.ts';
import { tokenBucket } from '../../../../src/network/plugins/meta/bandwidth/token-bucket.ts';
import { parseConf as firewallConf } from '../../../../src/network/plugins/meta/firewall/conf.ts';
import { isolationLines } from '../../../../src/network/plugins/meta/firewall/isolation.ts';
import { createFirewall } from '../../../../src/network/plugins/meta/firewall/index.ts';
import { sbr } from '../../../../src/network/plugins/meta/sbr/index.ts';
import { refuseForbidden } from '../../../../src/network/plugins/meta/tuning/allowlist.ts';
import { readBackup, writeBackup } from '../../../../src/network/plugins/meta/tuning/backup.ts';
import { parseConf as tuningConf } from '../../../../src/network/plugins/meta/tuning/conf.ts';
import { sysctlName } from '../../../../src/network/plugins/meta/tuning/sysctls.ts';
import { tuning } from '../../../../src/network/plugins/meta/tuning/index.ts';
import { routesToKeep, vrf } from '../../../../src/network/plugins/meta/vrf/index.ts';
import { fakeContext, pluginArgs, someResult } from './fake-plugin.ts';

const context = fakeContext([]);
const passesOn = (config: JsonObject): boolean | undefined => bandwidth.passesOn?.(config);

describe('bandwidth', () => {
  it('takes the configuration before the runtime, without regard to case', () => {
    const runtimeConfig = { bandwidth: { IngressRate: 800, IngressBurst: 1600 } };
    assert.deepEqual(limitsOf({ runtimeConfig }), {
      ingress: { rate: 800n, burst: 1600n },
      egress: undefined,
    });
    assert.deepEqual(limitsOf({ runtimeConfig, egressRate: 80, egressBurst: 8 }), {
      ingress: undefined,
      egress: { rate: 80n, burst: 8n },
    });
  });

  it('refuses limits that make no sense, naming what is wrong', () => {
    for (const [config, error] of [
      [{ ingressRate: 8 }, { message: 'if rate is set, burst must also be set' }],
      [{ egressBurst: 8 }, { message: 'if burst is set, rate must also be set' }],
      [{ egressRate: 8, egressBurst: 8 * 0xffff_ffff }, { message: 'burst cannot be more than 4GB' }],
      [
        { egressRate: -1, egressBurst: 8 },
        { code: 7, message: /egressRate/ },
      ],
      [{ ingressRate: '8' }, { code: 6, message: /ingressRate/ }],
      [{ runtimeConfig: { bandwidth: { ingressRate: 1.5 } } }, { code: 6, message: /bandwidth.ingressRate/ }],
    ] as const) {
      assert.throws(() => limitsOf(config), error);
    }
  });

  it('computes buckets as the reference plugin does, and none that the kernel cannot hold', () => {
    // 1 MB/s and 100 kB: 100 ms in ticks of 64 ns, and 25 ms more may wait.
    assert.deepEqual(tokenBucket(8_000_000n, 800_000n, 15.625), {
      rate: 1_000_000n,
      limit: 125_000,
      buffer: 1_562_500,
    });
    // What Kubernetes' runtimes ask for with 10M, as the reference plugin has it on this machine's processor.
    const overflowing = process.arch === 'arm64' ? 0xffff_ffff : 2_415_919_079;
    assert.equal(tokenBucket(10_000_000n, 4_294_967_295n, 15.625).buffer, overflowing);
    // That would leave 273 bytes here, which hardly a packet passes.
    assert.equal(tokenBucket(15_624_992n, 4_294_967_295n, 15.625).buffer, 0xffff_ffff);
  });

  it('names the ifb link as the reference plugin does', () => {
    assert.match(ifbName({ name: 'net' }, 'c1'), /^bwp[0-9a-f]{12}$/);
    assert.notEqual(ifbName({ name: 'net' }, 'c1'), ifbName({ name: 'net' }, 'c2'));
  });

  it('passes the result on when there are no limits, and says so beforehand', () => {
    const prevResult = { cniVersion: '1.1.0', ips: [] };
    assert.equal(passesOn({ prevResult }), true);
    assert.equal(passesOn({ prevResult, ingressRate: 8, ingressBurst: 8 }), false);
    assert.equal(passesOn({ prevResult, ingressRate: 8 }), false);
    assert.throws(() => bandwidth.add(pluginArgs({}), context), {
      message: 'must be called as chained plugin',
    });
    assert.throws(() => bandwidth.check(pluginArgs({}), context), {
      message: 'must be called as a chained plugin',
    });
  });
});

describe('firewall', () => {
  const nowhere = { address: 'unix:path=/nowhere/bus', timeoutMs: 100 };
  const firewall = createFirewall(() => nowhere);

  it('serves both backends, and what runs when none is asked for', () => {
    for (const backend of ['iptables', 'firewalld', '', 'other']) {
      assert.equal(firewall.unknownKey({ backend, firewalldZone: 'public' }), undefined);
    }
    assert.equal(firewall.unknownKey({ backends: 'x' }), 'backends');
    const backendOf = (config: JsonObject): string => firewallConf(config).backend;
    assert.deepEqual(
      [{}, { backend: '' }, { backend: 'iptables' }, { backend: 'firewalld' }].map(backendOf),
      ['running', 'running', 'iptables', 'firewalld'],
    );
  });

  it('puts addresses into the zone "trusted" unless it is told another', () => {
    assert.equal(firewallConf({}).zone, 'trusted');
    assert.equal(firewallConf({ firewalldZone: 'pods' }).zone, 'pods');
    assert.throws(() => firewallConf({ firewalldZone: 'a\0b' }), { code: 7, message: /firewalldZone/ });
  });

  it('says that there is no bus when firewalld is asked for, and asks nobody at DEL', () => {
    const args = pluginArgs({ backend: 'firewalld' }, { prevResult: someResult });
    const message = /failed to connect to unix:path=\/nowhere\/bus: no such file or directory/;
    assert.throws(() => firewall.add(args, context), { message });
    assert.throws(() => firewall.check(args, context), { message });
    firewall.del(args, context);
  });

  it('refuses policies and chains that are none', () => {
    assert.throws(() => firewallConf({ ingressPolicy: 'closed' }), {
      message: 'unknown ingress policy: "closed"',
    });
    for (const name of ['-j', 'a b', 'x'.repeat(29), 'a\nCOMMIT']) {
      assert.throws(() => firewallConf({ iptablesAdminChainName: name }), {
        code: 7,
        message: /iptablesAdminChainName/,
      });
    }
  });

  it('needs a previous result for ADD and CHECK, not for DEL', () => {
    const args = pluginArgs({ backend: 'iptables' });
    assert.throws(() => firewall.add(args, context), { message: 'missing prevResult from earlier plugin' });
    assert.throws(() => firewall.check(args, context), { message: 'missing prevResult from earlier plugin' });
    firewall.del(args, context);
  });

  it('needs a bridge to keep apart, with addresses or without', () => {
    const prevResult = { ...someResult, interfaces: [], ips: [] };
    const args = pluginArgs({ backend: 'iptables', ingressPolicy: 'isolated' }, { prevResult });
    assert.throws(() => firewall.add(args, context), {
      message:
        'interface needs to be set for ingress policy "isolated", make sure to chain "firewall" plugin with "bridge"',
    });
  });

  it('writes isolation once, also beside what an older release wrote', () => {
    const table = (...lines: string[]) => parseSaved([':FORWARD ACCEPT [0:0]', ...lines].join('\n'));
    const lines = isolationLines('isolated', 'br0', table());
    assert.equal(lines.length, 2 + 4 + 2);
    assert.match(lines.join('\n'), /-I CNI-ISOLATION-STAGE-1 -i br0 -o br0 .*isolated\)" -j DROP/);
    const done = lines.map((line) => line.replace(/^-I/, '-A'));
    assert.deepEqual(isolationLines('isolated', 'br0', table(...done)), []);
    const older = isolationLines('same-bridge', 'br0', table()).map((line) =>
      line.replace(/^-I/, '-A').replace('same-bridge|isolated', 'same-bridge'),
    );
    assert.deepEqual(isolationLines('same-bridge', 'br0', table(...older)), []);
  });
});

describe('tuning', () => {
  it('takes what the user of a network asks for before its configuration', () => {
    const conf = tuningConf(
      pluginArgs(
        {
          sysctl: { 'net.a': '1', 'net.b': '1' },
          mac: '02-00-00-00-00-01',
          mtu: 1400,
          args: { cni: { sysctl: { 'net.b': '2' }, mtu: 1300, allmulti: false } },
        },
        { args: 'IgnoreUnknown=1;MAC=02:00:00:00:00:02' },
      ),
    );
    assert.deepEqual(
      [...conf.sysctls],
      [
        ['net.a', '1'],
        ['net.b', '2'],
      ],
    );
    assert.deepEqual(conf.attributes, {
      mac: '02:00:00:00:00:02',
      promisc: undefined,
      mtu: 1300,
      allmulti: false,
      txQLen: undefined,
    });
  });

  it('refuses values of the wrong kind, naming the key', () => {
    assert.throws(() => tuningConf(pluginArgs({ sysctl: { 'net.a': 1 } })), {
      code: 6,
      message: /sysctl.net.a/,
    });
    assert.throws(() => tuningConf(pluginArgs({ mac: 'x' })), { message: /invalid args x for MAC addr/ });
    assert.throws(() => tuningConf(pluginArgs({ txQLen: -1 })), { code: 7, message: /txQLen/ });
  });

  it('keeps to sysctls of the network', () => {
    assert.equal(sysctlName('net.ipv4.conf.IFNAME.arp_filter', 'eth0'), 'net/ipv4/conf/eth0/arp_filter');
    assert.equal(sysctlName('net/core/somaxconn', 'eth0'), 'net/core/somaxconn');
    for (const name of ['kernel.panic', 'net', '', '../kernel/panic', 'network.x']) {
      assert.throws(() => sysctlName(name, 'eth0'), /invalid net sysctl key/);
    }
    // Dots are separators: there is no way up.
    assert.equal(sysctlName('net/../kernel/panic', 'eth0'), 'net/kernel/panic');
  });

  it('heeds the list of allowed sysctls, if there is one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tuning-'));
    const path = join(directory, 'allowlist.conf');
    try {
      refuseForbidden(['net.x'], path);
      writeFileSync(path, '\n ^net\\.ipv4\\. \n');
      refuseForbidden(['net.ipv4.x'], path);
      assert.throws(
        () => refuseForbidden(['net.ipv4.x', 'net.core.x'], path),
        /Sysctl net.core.x is not allowed/,
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('keeps backups in the form of the reference plugin, and is not upset by a torn one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tuning-'));
    const path = join(directory, 'data', 'c1_eth0.json');
    try {
      writeBackup(path, { mac: '02:00:00:00:00:01', promisc: false, mtu: 1500 });
      assert.equal(
        readFileSync(path, 'utf8'),
        '{\n "mac": "02:00:00:00:00:01",\n "promisc": false,\n "mtu": 1500\n}',
      );
      assert.equal(readBackup(path)?.mtu, 1500);
      writeFileSync(path, '{ "mac": "02:');
      assert.equal(readBackup(path), undefined);
      assert.equal(readBackup(`${path}.absent`), undefined);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('GC of tuning', () => {
  it('tells of backups that are of no listed attachment, and removes none: they name no network', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tuning-'));
    try {
      const names = ['alive_eth0.json', 'alive_eth1.json', 'gone_eth0.json', 'torn_a_b.json'];
      for (const name of [...names, '.half_eth0.json.tmp', 'README'])
        writeFileSync(join(directory, name), name.startsWith('torn') ? '' : '{}');
      const context = fakeContext([]);
      const listed = [{ containerID: 'alive', ifname: 'eth0' }];
      const config = { type: 'tuning', dataDir: directory };
      tuning.gc?.(pluginArgs(config), context);
      assert.deepEqual(context.lines, [], 'without a list nothing is known');
      tuning.gc?.(pluginArgs({ ...config, 'cni.dev/valid-attachments': listed }), context);
      assert.deepEqual(context.lines, [
        'left backup of tuning of alive',
        'left backup of tuning of gone',
        'left backup of tuning of torn',
      ]);
      assert.equal(readdirSync(directory).length, 6);
      rmSync(directory, { recursive: true });
      tuning.gc?.(pluginArgs({ ...config, 'cni.dev/valid-attachments': [] }), context);
      assert.equal(context.lines.length, 3);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('sbr and vrf', () => {
  it('must be chained', () => {
    assert.throws(() => sbr.add(pluginArgs({}), context), {
      message: 'This plugin must be called as chained plugin',
    });
    assert.throws(() => vrf.add(pluginArgs({ vrfname: 'blue' }), context), {
      message: 'missing prevResult from earlier plugin',
    });
  });

  it('refuse tables and names that are none', () => {
    assert.throws(() => sbr.add(pluginArgs({ table: -1 }), context), { code: 7, message: /table/ });
    assert.throws(() => vrf.add(pluginArgs({ vrfname: 'b', table: 2 ** 32 }), context), {
      code: 7,
      message: /table/,
    });
    assert.throws(() => vrf.add(pluginArgs({}), context), { message: /valid vrf name/ });
  });

  it('vrf keeps all routes but those that the kernel makes, and the ways to gateways come first', () => {
    const route = (destination: string, more: Partial<Route>): Route => ({
      destination,
      index: 2,
      gateway: '',
      source: '',
      priority: 0,
      table: 254,
      scope: 0,
      protocol: 3,
      type: 1,
      mtu: undefined,
      advmss: undefined,
      ...more,
    });
    const routes = [
      route('0.0.0.0/0', { gateway: '10.8.0.1' }),
      route('10.8.0.0/24', { scope: 253, protocol: 2, source: '10.8.0.5' }),
      route('10.8.0.1/32', { scope: 253 }),
      route('10.9.0.0/16', {}),
      route('fd08::/64', { protocol: 2 }),
      route('fd09::/64', {}),
    ];
    const kept = routesToKeep(routes).map(({ destination }) => destination);
    assert.deepEqual(kept, ['10.8.0.1/32', '10.9.0.0/16', 'fd09::/64', '0.0.0.0/0']);
  });

  it('have nothing to take down where no namespace is', () => {
    sbr.del(pluginArgs({}, { netns: '' }), context);
    sbr.del(pluginArgs({}, { netns: '/run/netns/absent' }), context);
    vrf.del(pluginArgs({ vrfname: 'blue' }, { netns: '/run/netns/absent' }), context);
  });
});
