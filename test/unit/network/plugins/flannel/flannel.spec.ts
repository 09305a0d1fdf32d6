import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { CniError } from '../../../../../src/network/cni/types.ts';
import { flannel } from '../../../../../src/network/plugins/meta/flannel/index.ts';
import { parseSubnetEnv } from '../../../../../src/network/plugins/meta/flannel/subnet-env.ts';
import type { PluginArgs } from '../../../../../src/network/plugins/plugin.ts';
import { type Call, fakeContext, pluginArgs, someResult } from '../fake-plugin.ts';

const env = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
`;

describe('subnet.env', () => {
  it('gives networks and subnets of both families', () => {
    const text = `# c\n${env}FLANNEL_IPV6_NETWORK=fd00:1::/48\nFLANNEL_IPV6_SUBNET=fd00:1:0:2::1/64\n\nOTHER=x=y\n`;
    assert.deepEqual(parseSubnetEnv(text, '/s'), {
      networks: ['10.244.0.0/16', 'fd00:1::/48'],
      subnets: ['10.244.1.0/24', 'fd00:1:0:2::/64'],
      mtu: 1450,
      ipMasq: true,
    });
  });

  it('takes a list of networks', () => {
    const { networks } = parseSubnetEnv(env.replace('10.244.0.0/16', '10.244.0.0/16,10.245.0.0/16'), '/s');
    assert.deepEqual(networks, ['10.244.0.0/16', '10.245.0.0/16']);
  });

  it('names what is missing', () => {
    assert.throws(
      () => parseSubnetEnv('FLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_NETWORK=10.244.0.0/16\n', '/s'),
      {
        message: '/s is missing FLANNEL_MTU, FLANNEL_IPMASQ',
      },
    );
    assert.throws(() => parseSubnetEnv('', '/s'), /is missing FLANNEL_NETWORK, .*FLANNEL_SUBNET/);
  });

  it('says where a line is malformed', () => {
    assert.throws(() => parseSubnetEnv(`${env}garbage\n`, '/s'), {
      message: '/s line 5: no "=" in "garbage"',
    });
    assert.throws(() => parseSubnetEnv(env.replace('1450', 'big'), '/s'), {
      message: 'FLANNEL_MTU: not a number: big',
    });
    assert.throws(
      () => parseSubnetEnv(env.replace('.1.1/24', ''), '/s'),
      /FLANNEL_SUBNET: invalid CIDR address: 10.244/,
    );
  });
});

describe('flannel', () => {
  let directory: string;
  let calls: Call[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'brt-flannel-'));
    calls = [];
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const scratch = (name = 'c1'): string => join(directory, 'data', name);
  const writeEnv = (): void => writeFileSync(join(directory, 'subnet.env'), env);

  function args(config: JsonObject = {}, more: Partial<PluginArgs> = {}): PluginArgs {
    const files = { subnetFile: join(directory, 'subnet.env'), dataDir: join(directory, 'data') };
    return pluginArgs({ type: 'flannel', ...files, ...config }, more);
  }

  const rendered = {
    cniVersion: '1.1.0',
    name: 'net',
    type: 'bridge',
    ipMasq: false,
    mtu: 1450,
    isGateway: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.1.0/24' }]], routes: [{ dst: '10.244.0.0/16' }] },
  };

  it('renders a bridge with host-local and keeps what it rendered before the delegate runs', () => {
    writeEnv();
    const context = fakeContext(calls, () => {
      assert.deepEqual(JSON.parse(readFileSync(scratch(), 'utf8')), rendered);
      return someResult;
    });
    assert.equal(flannel.add(args(), context), someResult);
    assert.deepEqual([calls[0]?.type, calls[0]?.verb, calls[0]?.args.config], ['bridge', 'ADD', rendered]);
    assert.equal(statSync(scratch()).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, 'data')).mode & 0o777, 0o700);
    assert.match(context.lines.join(''), /"isGateway":true/);
  });

  it('lets the delegate object and ipam decide where they may', () => {
    writeEnv();
    const ipam = { type: 'dhcp', dataDir: '/d', ranges: [['x']], routes: [{ dst: '1.2.3.0/24' }] };
    const delegate = { type: 'ptp', mtu: 1300, ipMasq: true, dns: {} };
    flannel.add(args({ ipam, delegate, runtimeConfig: { mac: 'x' } }), fakeContext(calls));
    assert.deepEqual(calls[0]?.args.config, {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'ptp',
      mtu: 1300,
      ipMasq: true,
      dns: {},
      runtimeConfig: { mac: 'x' },
      ipam: {
        type: 'dhcp',
        dataDir: '/d',
        ranges: [[{ subnet: '10.244.1.0/24' }]],
        routes: [{ dst: '1.2.3.0/24' }, { dst: '10.244.0.0/16' }],
      },
    });
  });

  it('refuses a delegate that sets what flannel sets', () => {
    writeEnv();
    const context = fakeContext(calls);
    assert.throws(() => flannel.add(args({ delegate: { name: 'x' } }), context), {
      message: "'delegate' dictionary must not have 'name' field, it'll be set by flannel",
    });
    assert.throws(() => flannel.add(args({ delegate: { ipam: {} } }), context), /must not have 'ipam' field/);
    assert.throws(
      () => flannel.add(args({ delegate: { type: 5 } }), context),
      /must have \(string\) 'type' field/,
    );
    assert.equal(calls.length, 0);
  });

  it("says what to look at while subnet.env is missing: code 999 on ADD, 50 in STATUS, then the delegate's own", () => {
    const text =
      /^failed to load flannel 'subnet\.env' file: .*no such file.*Check the flannel pod log for this node\.$/;
    assert.throws(() => flannel.add(args(), fakeContext(calls)), { code: 999, message: text });
    assert.throws(() => flannel.status?.(args(), fakeContext(calls)), { code: 50, message: text });
    writeEnv();
    const full = fakeContext(calls, () => {
      throw new CniError(50, 'exhausted');
    });
    assert.throws(() => flannel.status?.(args(), full), { code: 50, message: 'exhausted' });
    assert.deepEqual([calls[0]?.verb, calls[0]?.type], ['STATUS', 'bridge']);
  });

  it('keeps the scratch file until the DEL of the delegate has succeeded', () => {
    writeEnv();
    flannel.add(args(), fakeContext([]));
    rmSync(join(directory, 'subnet.env'));
    const failing = fakeContext(calls, () => {
      throw new CniError(11, 'busy');
    });
    assert.throws(() => flannel.del(args(), failing), { code: 11 });
    assert.equal(existsSync(scratch()), true);
    flannel.del(args({ prevResult: { cniVersion: '1.1.0' } }), fakeContext(calls));
    assert.equal(existsSync(scratch()), false);
    assert.deepEqual(calls[1]?.args.config, { ...rendered, prevResult: { cniVersion: '1.1.0' } });
    flannel.del(args(), fakeContext(calls));
    assert.equal(calls.length, 2);
  });

  it('puts an unreadable scratch file aside and deletes by a configuration rendered anew', () => {
    writeEnv();
    flannel.add(args(), fakeContext([]));
    for (const content of ['', '{"type":', '[]']) {
      writeFileSync(scratch(), content);
      const context = fakeContext(calls);
      flannel.del(args(), context);
      assert.deepEqual(calls.at(-1)?.args.config, rendered);
      assert.match(context.lines.join('\n'), /failed to read the scratch file of container "c1"/);
      assert.deepEqual(readdirSync(join(directory, 'data')), ['.c1.unreadable']);
    }
  });

  it('still finds it when the DEL by a configuration rendered anew failed', () => {
    writeEnv();
    flannel.add(args(), fakeContext([]));
    writeFileSync(scratch(), '');
    const failing = fakeContext([], () => {
      throw new CniError(11, 'busy');
    });
    assert.throws(() => flannel.del(args(), failing), { code: 11 });
    flannel.del(args(), fakeContext(calls));
    assert.equal(calls.length, 1);
  });

  it('owes the DEL of an unreadable scratch file until it can be rendered anew', () => {
    writeEnv();
    flannel.add(args(), fakeContext([]));
    writeFileSync(scratch(), '');
    rmSync(join(directory, 'subnet.env'));
    for (let time = 0; time < 2; time++) {
      assert.throws(
        () => flannel.del(args(), fakeContext(calls)),
        /container "c1": .*; failed to render its configuration anew/,
      );
    }
    assert.equal(calls.length, 0);
    writeEnv();
    flannel.del(args(), fakeContext(calls));
    assert.deepEqual(calls.at(-1)?.args.config, rendered);
  });

  it('hands the valid attachments of a GC to the delegate', () => {
    writeEnv();
    const attachments = [{ containerID: 'c1', ifname: 'eth0' }];
    flannel.gc?.(args({ 'cni.dev/valid-attachments': attachments }), fakeContext(calls));
    assert.deepEqual(calls[0]?.args.config, { ...rendered, 'cni.dev/valid-attachments': attachments });
  });

  it('GC removes files of containers that are gone, and leaves those that may be of another network', () => {
    writeEnv();
    for (const containerId of ['alive', 'gone', 'torn', 'empty'])
      flannel.add(args({}, { containerId }), fakeContext([]));
    writeFileSync(scratch('torn'), '{"type":');
    writeFileSync(scratch('empty'), '');
    writeFileSync(scratch('other'), JSON.stringify({ type: 'bridge', name: 'other' }));
    const context = fakeContext(calls);
    flannel.gc?.(args({ 'cni.dev/valid-attachments': [{ containerID: 'alive', ifname: 'eth0' }] }), context);
    assert.deepEqual(readdirSync(join(directory, 'data')).sort(), ['alive', 'empty', 'other', 'torn']);
    assert.deepEqual(context.lines.sort(), [
      'left unreadable scratch file of flannel of empty',
      'left unreadable scratch file of flannel of torn',
      'removed scratch file of flannel of gone',
    ]);
  });
});
