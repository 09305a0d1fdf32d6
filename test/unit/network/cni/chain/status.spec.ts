import assert from 'node:assert/strict';
import { BerthError } from '../../../../../src/lib/errors.ts';
import { PluginError } from '../../../../../src/network/cni/invoke/invoke.ts';
import { attachment, both, ChainRig, signal } from './rig.ts';

describe('a chain on CHECK, STATUS and VERSION', () => {
  const rig = new ChainRig();

  it('gives each plugin the final result, in order', async () => {
    await rig.chain.add(attachment(both()), { signal });
    rig.invoke.requests.length = 0;
    await rig.chain.check(attachment(both()), { signal });
    assert.deepEqual(rig.invoke.calls, ['CHECK bridge', 'CHECK portmap']);
    assert.ok(rig.invoke.requests.every(({ config }) => 'prevResult' in config));
  });

  it('does nothing when disabled, and is refused without a result or before 0.4.0', async () => {
    await rig.chain.check(attachment(both({ disableCheck: true })), { signal });
    await assert.rejects(rig.chain.check(attachment(both()), { signal }), /cached result: there is none/);
    await assert.rejects(
      rig.chain.check(attachment(both({ cniVersion: '0.3.1' })), { signal }),
      /does not support CHECK/,
    );
    assert.deepEqual(rig.invoke.calls, []);
  });

  it('asks every plugin up to the first that cannot serve', async () => {
    await rig.chain.status(both(), { signal });
    assert.deepEqual(rig.invoke.calls, ['STATUS bridge', 'STATUS portmap']);
    assert.deepEqual(rig.invoke.requests[0]?.config, {
      type: 'bridge',
      mtu: 1400,
      name: 'net',
      cniVersion: '1.1.0',
    });
    rig.invoke.behaviours['bridge'] = () => {
      throw new PluginError('pool is empty', { code: 50 });
    };
    await assert.rejects(
      rig.chain.status(both(), { signal }),
      (error: unknown) => error instanceof BerthError && error.meta['cniCode'] === 50,
    );
    assert.deepEqual(rig.invoke.calls.slice(2), ['STATUS bridge']);
  });

  it('asks the others when a range is exhausted, and tells what else is wrong first', async () => {
    rig.invoke.behaviours['bridge'] = () => {
      throw new PluginError('no IP addresses available in range set 0: 10.0.0.1-10.0.0.2', { code: 50 });
    };
    await assert.rejects(rig.chain.status(both(), { signal }), /no IP addresses available/);
    assert.deepEqual(rig.invoke.calls, ['STATUS bridge', 'STATUS portmap']);
    rig.invoke.behaviours['portmap'] = () => {
      throw new PluginError('nft is missing', { code: 50 });
    };
    await assert.rejects(rig.chain.status(both(), { signal }), /nft is missing/);
  });

  it('asks built-in plugins alone before 1.1.0, in that version, with the hints that it is given', async () => {
    const hints = { withheld: { addresses: ['10.0.0.7'], hostPorts: [] } };
    await rig.chain.status(both({ cniVersion: '1.0.0' }), { signal, hints });
    assert.deepEqual(rig.invoke.calls, ['STATUS bridge', 'STATUS portmap']);
    for (const { config, hints: given } of rig.invoke.requests) {
      assert.equal(config['cniVersion'], '1.1.0');
      assert.deepEqual(given, { ...hints, builtinsOnly: true });
    }
  });

  it('knows the versions of new, old and very old plugins', async () => {
    rig.invoke.behaviours['new'] = () => ({ cniVersion: '1.1.0', supportedVersions: ['0.4.0', '1.0.0'] });
    rig.invoke.behaviours['old'] = () => ({ cniVersion: '0.2.0' });
    rig.invoke.behaviours['ancient'] = () => {
      throw new PluginError('unknown CNI_COMMAND: VERSION');
    };
    assert.deepEqual(await rig.chain.version('new', { signal }), ['0.4.0', '1.0.0']);
    assert.deepEqual(await rig.chain.version('old', { signal }), ['0.1.0', '0.2.0']);
    assert.deepEqual(await rig.chain.version('ancient', { signal }), ['0.1.0']);
    await assert.rejects(
      rig.chain.version('bridge', { signal }),
      /failed \(version\): decoding version info/,
    );
  });
});
