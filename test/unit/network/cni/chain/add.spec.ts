import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import { BerthError } from '../../../../../src/lib/errors.ts';
import { PluginError } from '../../../../../src/network/cni/invoke/invoke.ts';
import type { Step } from '../../../../../src/network/cni/types.ts';
import { attachment, both, ChainRig, network, RESULT, signal } from './rig.ts';

describe('a chain on ADD', () => {
  const rig = new ChainRig();

  it('gives each plugin its configuration, what it declares, and the result of the one before', async () => {
    const capabilityArgs = { portMappings: [{ hostPort: 80 }], mac: '02::', dns: {} };
    const given = attachment(both(), { capabilityArgs });
    const result = await rig.chain.add(given, {
      signal,
      hints: { withheld: { addresses: ['10.0.0.9'], hostPorts: [] } },
    });
    const [first, second] = rig.invoke.requests;
    assert.deepEqual(first, {
      verb: 'ADD',
      type: 'bridge',
      containerId: 'c1',
      netns: '/run/netns/n',
      ifName: 'eth0',
      args: 'A=1',
      path: ['/opt/cni/bin', '/usr/lib/cni'],
      config: { type: 'bridge', mtu: 1400, name: 'net', cniVersion: '1.1.0' },
      hints: { withheld: { addresses: ['10.0.0.9'], hostPorts: [] } },
    });
    assert.deepEqual(second?.config, {
      type: 'portmap',
      capabilities: { portMappings: true, mac: false },
      name: 'net',
      cniVersion: '1.1.0',
      prevResult: { ...RESULT, cniVersion: '1.1.0' },
      runtimeConfig: { portMappings: [{ hostPort: 80 }] },
    });
    assert.deepEqual(result, { ...RESULT, cniVersion: '1.1.0', routes: [], dns: {} });
  });

  it("keeps the last result in libcni's cache, in the version of the list", async () => {
    await rig.chain.add(attachment(both({ cniVersion: '0.4.0' })), { signal });
    assert.deepEqual((await rig.cached())?.result, {
      cniVersion: '0.4.0',
      interfaces: RESULT.interfaces,
      ips: [{ version: '4', interface: 0, address: '10.0.0.2/24' }],
      dns: {},
    });
    assert.deepEqual(JSON.parse((await rig.cached())?.config ?? ''), {
      name: 'net',
      cniVersion: '0.4.0',
      plugins: both().plugins,
    });
  });

  it('stops at the plugin that fails, undoes nothing, and says which one it was', async () => {
    rig.invoke.behaviours['portmap'] = () => {
      throw new PluginError('no port', { code: 11, provider: '/bin/portmap' });
    };
    await assert.rejects(rig.chain.add(attachment(both()), { signal }), (error: unknown) => {
      assert.ok(error instanceof BerthError);
      assert.match(
        error.message,
        /^plugin type="portmap" name="net" failed \(add\): no port \(after [\d.]+ ms, \/bin\/portmap\)$/,
      );
      assert.equal(error.code, 'UNAVAILABLE');
      assert.equal(error.meta['cniCode'], 11);
      return true;
    });
    assert.deepEqual(rig.invoke.calls, ['ADD bridge', 'ADD portmap']);
    assert.equal(await rig.cached(), undefined);
  });

  for (const [what, output, problem] of [
    ['nothing', undefined, /failed \(add\): netplugin succeeded but printed no result/],
    ['a list', [], /failed \(add\): invalid result: result: expected an object, got an array/],
    [
      'an index without interfaces',
      { ips: [{ address: '10.0.0.2/24', interface: 0 }] },
      /type="bridge".*ips\[0\]\.interface: index 0 is out of range/,
    ],
    ['a version from the future', { cniVersion: '3.0.0' }, /unsupported CNI result version "3\.0\.0"/],
  ] as const) {
    it(`fails with the plugin's name when it prints ${what}`, async () => {
      rig.invoke.behaviours['bridge'] = () => output;
      await assert.rejects(rig.chain.add(attachment(both()), { signal }), problem);
    });
  }

  it('is unavailable when there is no such plugin, and of no known code when the plugin fails', async () => {
    for (const [provider, code] of [
      ['', 'UNAVAILABLE'],
      ['/bin/bridge', 'UNKNOWN'],
    ] as const) {
      rig.invoke.behaviours['bridge'] = () => {
        throw new PluginError('no', { provider });
      };
      await assert.rejects(
        rig.chain.add(attachment(both()), { signal }),
        (error: unknown) => error instanceof BerthError && error.code === code,
      );
    }
  });

  it('takes the version of the list for a result without one', async () => {
    rig.invoke.behaviours['bridge'] = () => ({ ip4: { ip: '10.0.0.2/24' } });
    const result = await rig.chain.add(attachment(network([{ type: 'bridge' }], { cniVersion: '0.2.0' })), {
      signal,
    });
    assert.deepEqual(result.ips, [{ address: '10.0.0.2/24' }]);
  });

  it('reports each step with its masked configuration, how long it took and how it failed', async () => {
    const steps: Step[] = [];
    const list = network([{ type: 'bridge', token: 'hunter2' }, { type: 'portmap' }]);
    rig.invoke.behaviours['portmap'] = () => {
      throw new PluginError('no', { code: 7, provider: '/bin/portmap', stderr: 'hint' });
    };
    await assert.rejects(rig.chain.add(attachment(list), { signal, onStep: (step) => steps.push(step) }));
    assert.equal(steps.length, 2);
    const [first, second] = steps;
    assert.deepEqual(first, {
      plugin: 'bridge',
      verb: 'ADD',
      provider: '/bin/bridge',
      startedAt: first?.startedAt,
      durationMs: first?.durationMs,
      config: { type: 'bridge', token: '***', name: 'net', cniVersion: '1.1.0' },
    });
    assert.match(first.startedAt, /^\d{4}-\d\d-\d\dT/);
    assert.ok(first.durationMs >= 0);
    assert.deepEqual(
      [second?.error, second?.code, second?.stderr, second?.provider],
      ['no', 7, 'hint', '/bin/portmap'],
    );
    assert.equal(rig.invoke.requests[0]?.config['token'], 'hunter2');
  });

  it('keeps a message under 4 KiB, the beginning and the end of it', async () => {
    rig.invoke.behaviours['bridge'] = () => {
      throw new PluginError(`begin${'ä'.repeat(100_000)}the end`);
    };
    await assert.rejects(rig.chain.add(attachment(both()), { signal }), (error: Error) => {
      assert.ok(Buffer.byteLength(error.message) < 4096);
      return error.message.includes('begin') && error.message.includes('the end');
    });
  });

  it('ends at the deadline with the plugin, the time and its last words', async () => {
    const controller = new AbortController();
    rig.invoke.behaviours['bridge'] = async (_request, options) => {
      await after(20);
      controller.abort(new BerthError('DEADLINE_EXCEEDED', 'add took longer than 20 ms'));
      throw new PluginError('killed', {
        cause: options.signal.reason,
        stderr: 'waiting for the moon',
        provider: '/bin/bridge',
      });
    };
    await assert.rejects(
      rig.chain.add(attachment(both()), { signal: controller.signal }),
      (error: unknown) => {
        assert.ok(error instanceof BerthError && error.code === 'DEADLINE_EXCEEDED');
        assert.match(
          error.message,
          /type="bridge".*ended before it answered: add took longer than 20 ms; stderr: waiting for the moon \(after \d+/,
        );
        return true;
      },
    );
  });

  for (const changes of [
    { containerId: '../c' },
    { containerId: '' },
    { ifName: 'eth 0' },
    { ifName: 'x'.repeat(16) },
    { ifName: '..' },
  ]) {
    it(`refuses ${JSON.stringify(changes)} before anything is called`, async () => {
      await assert.rejects(
        rig.chain.add(attachment(both(), changes), { signal }),
        (error: unknown) => error instanceof BerthError && error.code === 'INVALID_ARGUMENT',
      );
      assert.deepEqual(rig.invoke.calls, []);
    });
  }
});
