import assert from 'node:assert/strict';
import { CniError } from '../../../../src/network/cni/types.ts';
import { runPlugin } from '../../../../src/network/plugins/skeleton.ts';
import { type Call, fakeContext, fakePlugin, someResult } from './fake-plugin.ts';

const environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/none',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
};
const config = { cniVersion: '1.0.0', name: 'net', type: 'fake' };

function run(changes: Record<string, string | undefined> = {}, stdin: unknown = config, fail?: () => void) {
  const calls: Call[] = [];
  const plugin = fakePlugin('fake', calls, fail);
  const output = runPlugin(plugin, { ...environment, ...changes }, () => stdin, fakeContext([]));
  return { output, calls };
}

describe('plugin skeleton', () => {
  it('calls the plugin with what the protocol gave and answers in the version of the configuration', () => {
    const { output, calls } = run({ CNI_ARGS: 'A=b' });
    assert.equal(output?.['cniVersion'], '1.0.0');
    assert.deepEqual(output['ips'], someResult.ips);
    const [call] = calls;
    assert.equal(call?.verb, 'ADD');
    assert.equal(call.args.args, 'A=b');
    assert.deepEqual(call.args.path, ['/opt/cni/bin', '/usr/lib/cni']);
    assert.equal(call.args.prevResult, undefined);
  });

  it('names all variables that are missing, in order, with code 4', () => {
    const message = 'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing';
    const none = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '', CNI_PATH: undefined };
    assert.throws(() => run(none), { code: 4, message });
    assert.throws(() => run({ CNI_COMMAND: undefined }), {
      code: 4,
      message: 'required env variables [CNI_COMMAND] missing',
    });
  });

  it('lets CNI_NETNS be empty on DEL only', () => {
    assert.equal(run({ CNI_COMMAND: 'DEL', CNI_NETNS: '' }).calls.length, 1);
    assert.throws(() => run({ CNI_COMMAND: 'CHECK', CNI_NETNS: '' }), { message: /\[CNI_NETNS\] missing/ });
  });

  it('needs only CNI_PATH for GC and STATUS', () => {
    const only = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' };
    for (const verb of ['GC', 'STATUS']) {
      assert.equal(
        run({ ...only, CNI_COMMAND: verb }, { ...config, cniVersion: '1.1.0' }).calls[0]?.verb,
        verb,
      );
    }
  });

  it('refuses ids and interface names that the reference skeleton refuses', () => {
    const bad: [string, string, string, string][] = [
      ['CNI_CONTAINERID', '../x', 'invalid characters in containerID', '../x'],
      [
        'CNI_IFNAME',
        'a'.repeat(16),
        'interface name is too long',
        'interface name should be less than 16 characters',
      ],
      ['CNI_IFNAME', '..', 'interface name is . or ..', ''],
      ['CNI_IFNAME', 'a/b', 'interface name contains / or : or whitespace characters', ''],
      ['CNI_IFNAME', 'a b', 'interface name contains / or : or whitespace characters', ''],
    ];
    for (const [name, value, message, details] of bad) {
      assert.throws(() => run({ [name]: value }), { code: 4, message, details });
    }
  });

  it('refuses an unknown command', () => {
    assert.throws(() => run({ CNI_COMMAND: 'SET' }), { code: 4, message: 'unknown CNI_COMMAND: SET' });
    assert.throws(() => run({ CNI_COMMAND: 'constructor' }), CniError);
  });

  it('answers VERSION without configuration', () => {
    const { output } = run({ CNI_COMMAND: 'VERSION', CNI_PATH: '' }, undefined);
    assert.deepEqual(output, {
      cniVersion: '1.1.0',
      supportedVersions: ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    });
  });

  it('refuses configurations without a usable name', () => {
    assert.throws(() => run({}, []), { code: 6 });
    assert.throws(() => run({}, { cniVersion: '1.0.0' }), { code: 7, message: 'missing network name' });
    assert.throws(() => run({}, { ...config, name: 'a/b' }), {
      code: 7,
      message: 'invalid characters found in network name',
      details: 'a/b',
    });
    assert.throws(() => run({}, { ...config, name: 4 }), { code: 6 });
  });

  it('refuses versions that it does not speak, with code 1', () => {
    assert.throws(() => run({}, { ...config, cniVersion: '2.0.0' }), {
      code: 1,
      message: 'incompatible CNI versions',
      details: 'config is "2.0.0", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]',
    });
    assert.throws(() => run({}, { ...config, cniVersion: 'one' }), {
      code: 1,
      details: 'config is "one", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]',
    });
  });

  it('refuses verbs that the version does not know', () => {
    const wanted = { CHECK: '0.3.1', GC: '1.0.0', STATUS: '1.0.0' };
    for (const [verb, cniVersion] of Object.entries(wanted)) {
      const message = `config version does not allow ${verb}`;
      assert.throws(() => run({ CNI_COMMAND: verb }, { ...config, cniVersion }), { code: 1, message });
    }
  });

  it('refuses verbs that came later when it does not know the version, and versions that are none', () => {
    for (const CNI_COMMAND of ['CHECK', 'GC', 'STATUS']) {
      const message = `plugin version does not allow ${CNI_COMMAND}`;
      assert.throws(() => run({ CNI_COMMAND }, { ...config, cniVersion: '2.0.0' }), { code: 1, message });
      assert.throws(() => run({ CNI_COMMAND }, { ...config, cniVersion: 'one' }), { code: 6 });
    }
  });

  it('takes an absent version for 0.1.0, and answers in that form', () => {
    const { output } = run({}, { name: 'net' });
    assert.equal(output?.['cniVersion'], '0.1.0');
    assert.deepEqual(output['ip4'], {
      ip: '10.1.0.5/16',
      gateway: '10.1.0.1',
      routes: [{ dst: '0.0.0.0/0' }],
    });
  });

  it('converts the previous result and blames it when it is none', () => {
    const prevResult = { cniVersion: '0.2.0', ip4: { ip: '10.0.0.2/24' } };
    const { calls } = run({}, { cniVersion: '0.2.0', name: 'net', prevResult });
    assert.deepEqual(calls[0]?.args.prevResult?.ips, [{ address: '10.0.0.2/24' }]);
    const bad = { ...config, prevResult: { ips: [{ address: 'x' }] } };
    assert.throws(() => run({}, bad), {
      code: 6,
      message: /^could not parse prevResult: .*invalid CIDR address: x/,
    });
  });

  it('refuses to work on the namespace that it runs in', () => {
    const message = "plugin's netns and netns from CNI_NETNS should not be the same";
    for (const verb of ['ADD', 'DEL']) {
      assert.throws(() => run({ CNI_COMMAND: verb, CNI_NETNS: '/proc/self/ns/net' }), { code: 8, message });
    }
    assert.equal(run({ CNI_NETNS: '/proc/self/ns/net', CNI_NETNS_OVERRIDE: 'true' }).calls.length, 1);
    assert.equal(run({ CNI_COMMAND: 'CHECK', CNI_NETNS: '/proc/self/ns/net' }).calls.length, 1);
  });

  it('keeps the code of a plugin error and gives others 999', () => {
    const failing = (error: Error) => () => {
      throw error;
    };
    assert.throws(() => run({}, config, failing(new CniError(11, 'later', 'why'))), {
      code: 11,
      message: 'later',
      details: 'why',
    });
    assert.throws(() => run({}, config, failing(new Error('broken'))), {
      name: 'CniError',
      code: 999,
      message: 'broken',
    });
  });

  it('takes GC and STATUS of a plugin without them for success', () => {
    const bare = fakePlugin('fake', []);
    delete bare.gc;
    delete bare.status;
    for (const verb of ['GC', 'STATUS']) {
      const stdin = { ...config, cniVersion: '1.1.0' };
      assert.equal(
        runPlugin(bare, { CNI_COMMAND: verb, CNI_PATH: '/x' }, () => stdin, fakeContext([])),
        undefined,
      );
    }
  });
});
