import assert from 'node:assert/strict';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { type Invoke, PluginError, type PluginRequest } from '../../../../src/network/cni/invoke/invoke.ts';
import { createRegistry } from '../../../../src/network/plugins/registry.ts';
import { SelectingInvoke } from '../../../../src/network/plugins/selecting-invoke.ts';
import { pluginTypes } from '../../../../src/network/plugins/types.ts';
import { fakePlugin } from './fake-plugin.ts';

function serving(provider: string): Invoke {
  return { invoke: () => Promise.resolve({ output: undefined, provider, stderr: '' }) };
}

function failing(error: Error): Invoke {
  return { invoke: () => Promise.reject(error) };
}

function request(
  config: PluginRequest['config'],
  verb: PluginRequest['verb'] = 'ADD',
  type = 'fake',
): PluginRequest {
  return { verb, type, containerId: 'c', netns: '/n', ifName: 'eth0', args: '', path: ['/opt'], config };
}

function selecting(builtin: 'auto' | 'never', executables = serving('/opt/fake')): SelectingInvoke {
  const registry = new Map([
    ['fake', fakePlugin('fake', [])],
    ['slow', { ...fakePlugin('slow', []), waits: () => true }],
    ['idle', { ...fakePlugin('idle', []), since: '0.3.0', passesOn: () => true }],
  ]);
  const builtins = serving('built-in');
  const [waiting, delegating] = [serving('waiting'), serving('delegating')];
  return new SelectingInvoke({ builtin, registry, builtins, waiting, delegating, executables });
}

function choose(
  builtin: 'auto' | 'never',
  executables = serving('/opt/fake'),
): (request: PluginRequest) => Promise<string> {
  const invoke = selecting(builtin, executables);
  const { signal } = new AbortController();
  return async (each) => (await invoke.invoke(each, { signal })).provider;
}

describe('choice between built-in and executable', () => {
  it('takes the built-in when it understands every key', async () => {
    assert.equal(await choose('auto')(request({ name: 'n' })), 'built-in');
    assert.equal(await choose('auto')(request({ strange: 1 }, 'VERSION')), 'built-in');
  });

  it('takes other threads for the ADD of a built-in that waits for somebody else, or of one that delegates to it', async () => {
    assert.equal(await choose('auto')(request({}, 'ADD', 'slow')), 'waiting');
    assert.equal(await choose('auto')(request({ ipam: { type: 'slow' } })), 'waiting');
    assert.equal(await choose('auto')(request({ ipam: { type: 'slow' } }, 'DEL')), 'built-in');
    assert.equal(await choose('auto')(request({ ipam: { type: 'fake' } })), 'built-in');
    assert.equal(await choose('auto')(request({ ipam: 'slow' })), 'built-in');
  });

  it('takes other threads where neighbours may have the IPv6 address that the container gets', async () => {
    const invoke = new SelectingInvoke({
      builtin: 'auto',
      registry: createRegistry(),
      builtins: serving('built-in'),
      waiting: serving('waiting'),
      delegating: serving('delegating'),
      executables: serving('/opt/fake'),
    });
    const options = { signal: new AbortController().signal };
    const provider = async (type: string, more: JsonObject): Promise<string> =>
      (await invoke.invoke(request({ cniVersion: '1.0.0', name: 'n', type, ...more }, 'ADD', type), options))
        .provider;
    const ranges = (...subnets: string[]) => ({
      ipam: { type: 'host-local', ranges: subnets.map((subnet) => [{ subnet }]) },
    });
    const both = ranges('10.1.0.0/16', 'fd00:1::/64');
    assert.equal(await provider('macvlan', both), 'waiting');
    assert.equal(await provider('macvlan', ranges('10.1.0.0/16')), 'built-in');
    assert.equal(
      await provider('vlan', { ipam: { type: 'static' }, runtimeConfig: { ips: ['fd00::2/64'] } }),
      'waiting',
    );
    assert.equal(await provider('bridge', both), 'built-in');
    assert.equal(await provider('bridge', { ...both, enabledad: true }), 'waiting');
    assert.equal(
      await provider('bridge', {
        ...ranges('10.1.0.0/16'),
        enabledad: true,
        runtimeConfig: { mac: 'aa:bb:cc:dd:ee:ff' },
      }),
      'built-in',
    );
    assert.equal(await provider('ptp', both), 'built-in');
  });

  it('starts nothing for a plugin with nothing to do, save to be told that it does not speak the version', async () => {
    const prevResult = { ips: [] };
    const options = { signal: new AbortController().signal };
    const invoke = selecting('auto');
    const idle = (cniVersion: string) => request({ cniVersion, prevResult }, 'ADD', 'idle');
    assert.equal((await invoke.invoke(idle('1.0.0'), options)).output, prevResult);
    assert.equal((await invoke.invoke(idle('0.2.0'), options)).output, undefined);
    assert.equal((await invoke.invoke(idle(''), options)).output, undefined);
  });

  it('takes other threads for whatever a built-in delegates to an executable, and others than for ADD for all else', async () => {
    for (const verb of ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'] as const) {
      const wanted = verb === 'ADD' ? 'waiting' : 'delegating';
      assert.equal(await choose('auto')(request({ ipam: { type: 'whereabouts' } }, verb)), wanted, verb);
      assert.equal(await choose('auto')(request({ delegate: { type: 'calico' } }, verb)), wanted, verb);
    }
    assert.equal(await choose('auto')(request({ delegate: { type: 'fake', strange: 1 } })), 'waiting');
    assert.equal(await choose('auto')(request({ delegate: { type: 'fake' } })), 'built-in');
    assert.equal(await choose('auto')(request({ delegate: 'calico' })), 'built-in');
  });

  it('takes the executable for an unknown key, an unknown type, and when built-ins are off', async () => {
    assert.equal(await choose('auto')(request({ strange: 1 })), '/opt/fake');
    assert.equal(await choose('auto')(request({}, 'ADD', 'calico')), '/opt/fake');
    assert.equal(await choose('never')(request({ name: 'n' })), '/opt/fake');
  });

  it('names the key when there is no executable either, and where it looked', async () => {
    const missing = failing(new PluginError('failed to find plugin "fake" in path [/opt]'));
    await assert.rejects(choose('auto', missing)(request({ strange: 1 })), {
      name: 'PluginError',
      message:
        'built-in plugin "fake" does not understand key "strange", and its executable is missing: failed to find plugin "fake" in path [/opt]',
    });
  });

  it("passes an executable's own failure on", async () => {
    const broken = new PluginError('boom', { code: 5, provider: '/opt/fake' });
    await assert.rejects(choose('auto', failing(broken))(request({ strange: 1 })), broken);
  });

  it('has a built-in for each announced type', () => {
    assert.deepEqual([...createRegistry().keys()].sort(), pluginTypes);
  });
});
