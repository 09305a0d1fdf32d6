import assert from 'node:assert/strict';
import type { Hints } from '../../../../src/network/cni/invoke/invoke.ts';
import { loopback } from '../../../../src/network/plugins/main/loopback/index.ts';
import type { PluginArgs, PluginContext } from '../../../../src/network/plugins/plugin.ts';
import { TestNetns } from '../../../helpers/netns.ts';

describe('loopback plugin on the real kernel', () => {
  let pod: TestNetns;
  beforeEach(() => {
    pod = new TestNetns();
  });
  afterEach(() => pod[Symbol.dispose]());

  const context = (hints: Hints = {}): PluginContext => ({
    hints,
    log: () => undefined,
    collect: (_, remove) => remove(),
    leave: () => undefined,
    askLeaseKeeper: () => ({}),
    delegate: () => assert.fail('loopback delegates nothing'),
  });
  const args = (more: Partial<PluginArgs> = {}): PluginArgs => ({
    containerId: 'c1',
    netns: pod.path,
    ifName: 'eth0',
    args: '',
    path: [],
    config: { cniVersion: '1.1.0', name: 'lo', type: 'loopback' },
    prevResult: undefined,
    ...more,
  });
  const isUp = (): boolean => (pod.link('lo')?.['flags'] as string[]).includes('UP');

  it('brings lo up, whatever the interface is called, and reports its addresses', () => {
    assert.deepEqual(loopback.add(args(), context()), {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: pod.path }],
      ips: [
        { interface: 0, address: '127.0.0.1/8' },
        { interface: 0, address: '::1/128' },
      ],
      routes: [],
      dns: {},
    });
    assert.ok(isUp());
    loopback.check(args(), context());
  });

  it('passes on the result of a plugin before it', () => {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [],
      ips: [{ address: '10.0.0.1/8' }],
      routes: [],
      dns: {},
    };
    assert.equal(loopback.add(args({ prevResult }), context()), prevResult);
    assert.ok(isUp());
  });

  it('refuses an lo that has an address of the world', () => {
    pod.run('ip', 'addr', 'add', '192.0.2.1/32', 'dev', 'lo');
    assert.throws(() => loopback.add(args(), context()), {
      message: 'loopback interface found with non-loopback address "192.0.2.1"',
    });
  });

  it('takes lo down on DEL, unless the namespace ends or is gone', () => {
    loopback.add(args(), context());
    loopback.del(args({ netns: '' }), context());
    loopback.del(args({ netns: '/run/netns/brt-absent' }), context());
    loopback.del(args(), context({ namespaceEnds: true }));
    assert.ok(isUp());
    loopback.del(args(), context());
    assert.ok(!isUp());
    assert.throws(() => loopback.check(args(), context()), { message: 'loopback interface is down' });
  });

  it('says that there is no namespace on ADD and CHECK', () => {
    for (const verb of ['add', 'check'] as const) {
      assert.throws(
        () => loopback[verb](args({ netns: '/run/netns/brt-absent' }), context()),
        /no such file or directory/,
      );
    }
  });
});
