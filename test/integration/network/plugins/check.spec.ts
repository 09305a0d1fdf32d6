import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callPlugin, callWell } from '../../../helpers/plugin-process.ts';

describe('CHECK of networks that work', () => {
  let cleanup: Cleanup;
  let host: TestNode;
  let pod: TestNode;
  let dataDir: string;
  beforeEach(async () => {
    cleanup = new Cleanup();
    host = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    dataDir = cleanup.use(await Scratch.create()).path;
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const ipam = (...routes: JsonObject[]): JsonObject => ({
    type: 'host-local',
    ranges: [[{ subnet: '10.66.0.0/24' }], [{ subnet: 'fd66::/64' }]],
    routes,
    dataDir,
  });
  const call = (verb: 'ADD' | 'CHECK', plugin: JsonObject, prevResult: JsonObject | undefined) => ({
    verb,
    type: plugin['type'] as string,
    config: {
      cniVersion: '1.1.0',
      name: 'net',
      ...plugin,
      ...(prevResult === undefined ? {} : { prevResult }),
    },
    netns: pod.path,
  });

  /** Its ADD; what CHECK of its first plugin that is not content says, or undefined. */
  async function added(...plugins: JsonObject[]): Promise<() => Promise<unknown>> {
    let result: JsonObject | undefined;
    for (const plugin of plugins) result = await callWell(host, 'in-process', call('ADD', plugin, result));
    return async () => {
      for (const plugin of plugins) {
        const { exitCode, output } = await callPlugin(host, 'in-process', call('CHECK', plugin, result));
        if (exitCode !== 0) return output?.['msg'];
      }
      return undefined;
    };
  }

  const mains: JsonObject[] = [
    { type: 'ptp' },
    { type: 'bridge', bridge: 'br66', isDefaultGateway: true },
    { type: 'macvlan', master: 'up66' },
  ];
  for (const main of mains) {
    it(`finds the routes that sbr has moved behind ${main['type'] as string}, and sees when they go`, async () => {
      await host.run('ip', 'link', 'add', 'up66', 'up', 'type', 'veth', 'peer', 'name', 'far66');
      await host.run('ip', 'link', 'set', 'far66', 'up');
      const routes = ipam({ dst: '10.99.0.0/16' }, { dst: 'fd99::/48' });
      const check = await added({ ...main, ipam: routes }, { type: 'sbr' });
      assert.doesNotMatch(await pod.run('ip', 'route', 'show', 'dev', 'eth0'), /10\.66\.0\.0\/24/);
      assert.equal(await check(), undefined);
      await pod.run('ip', 'route', 'delete', '10.99.0.0/16', 'table', '100');
      assert.equal(await check(), 'Expected Route 10.99.0.0/16 via <nil> not found in routing table');
      await pod.run('ip', 'route', 'flush', 'table', '100');
      assert.equal(await check(), 'Failed to find Gateway 10.66.0.1 for interface eth0');
    });
  }

  // ptp has to be given gateways.
  for (const main of mains.slice(1)) {
    it(`wants no network of an address that stands alone, with ${main['type'] as string}`, async () => {
      await host.run('ip', 'link', 'add', 'up66', 'up', 'type', 'veth', 'peer', 'name', 'far66');
      const alone = {
        type: 'static',
        addresses: [{ address: '10.66.0.5/32' }, { address: 'fd66::5/128' }],
        routes: [
          { dst: '169.254.1.1/32', scope: 253 },
          { dst: '0.0.0.0/0', gw: '169.254.1.1' },
        ],
      };
      const check = await added({ ...main, isDefaultGateway: false, ipam: alone });
      assert.equal(await check(), undefined);
      await pod.run('ip', 'route', 'delete', 'default');
      assert.match(String(await check()), /^Expected Route 0\.0\.0\.0\/0 /);
      await pod.run('ip', 'address', 'delete', '10.66.0.5/32', 'dev', 'eth0');
      assert.equal(await check(), 'Failed to match addr 10.66.0.5/32 on interface eth0');
    });
  }

  it('finds a route in the table that it is meant for, and in no other', async () => {
    const bridge = { type: 'bridge', bridge: 'br66', isGateway: true };
    const check = await added({ ...bridge, ipam: ipam({ dst: '10.99.0.0/16', table: 200 }) });
    assert.equal(await check(), undefined);
    const route = ['10.99.0.0/16', 'via', '10.66.0.1'];
    await pod.run('ip', 'route', 'delete', ...route, 'table', '200');
    for (const other of ['main', '201']) {
      await pod.run('ip', 'route', 'add', ...route, 'table', other);
      assert.equal(await check(), 'Expected Route 10.99.0.0/16 via <nil> not found in routing table');
    }
    await pod.run('ip', 'route', 'add', ...route, 'table', '200');
    assert.equal(await check(), undefined);
  });

  it('does not take a local address for a route to it', async () => {
    const bridge = { type: 'bridge', bridge: 'br66', isGateway: true };
    const check = await added({ ...bridge, ipam: ipam({ dst: '10.99.0.7/32' }) });
    assert.equal(await check(), undefined);
    await pod.run('ip', 'route', 'delete', '10.99.0.7/32');
    await pod.run('ip', 'address', 'add', '10.99.0.7/32', 'dev', 'lo');
    assert.match(await pod.run('ip', 'route', 'show', 'table', 'local'), /10\.99\.0\.7/);
    assert.equal(await check(), 'Expected Route 10.99.0.7/32 via <nil> not found in routing table');
  });

  it('knows a sysctl of several numbers, however they are spaced', async () => {
    const sysctl = {
      'net.ipv4.ip_local_port_range': '1024 65535',
      'net.ipv4.tcp_rmem': '4096   87380\t16777216',
    };
    const check = await added(
      { type: 'ptp', ipam: ipam() },
      { type: 'tuning', sysctl, dataDir: `${dataDir}/tuning` },
    );
    assert.equal(await check(), undefined);
    await pod.run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 60000');
    assert.equal(
      await check(),
      'Error: Tuning configured value of /proc/sys/net/ipv4/ip_local_port_range is 1024 65535, current value is 1024\t60000',
    );
  });
});
