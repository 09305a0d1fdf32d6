import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileLock } from '../../../../../src/kernel/flock.ts';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import type { Result } from '../../../../../src/network/cni/types.ts';
import { createHostLocal } from '../../../../../src/network/plugins/ipam/host-local/index.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../../../../src/network/plugins/plugin.ts';
import { fakeContext, pluginArgs, someResult } from '../fake-plugin.ts';

describe('host-local', () => {
  let dataDir: string;
  let plugin: Plugin;
  let context: PluginContext & { readonly lines: string[] };

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'brt-host-local-'));
    plugin = createHostLocal();
    context = fakeContext([]);
  });

  afterEach(() => rmSync(dataDir, { recursive: true }));

  function args(
    containerId: string,
    ipam: JsonObject = { subnet: '10.0.0.0/29' },
    more: Partial<PluginArgs> = {},
  ): PluginArgs {
    return pluginArgs({ ipam: { dataDir, ...ipam } }, { containerId, ...more });
  }

  const addressesOf = (result: Result): string[] => result.ips.map(({ address }) => address);
  const add = (id: string, ipam?: JsonObject, more?: Partial<PluginArgs>): string[] =>
    addressesOf(plugin.add(args(id, ipam, more), context));
  const del = (id: string, more?: Partial<PluginArgs>): void =>
    plugin.del(args(id, undefined, more), context);
  const file = (name: string): string => join(dataDir, 'net', name);
  const names = (): string[] => readdirSync(join(dataDir, 'net')).sort();

  it('keeps the files of the reference plugin', () => {
    assert.deepEqual(add('c1'), ['10.0.0.2/29']);
    assert.deepEqual(names(), ['10.0.0.2', 'last_reserved_ip.0', 'lock']);
    assert.equal(readFileSync(file('10.0.0.2'), 'latin1'), 'c1\r\neth0');
    assert.equal(readFileSync(file('last_reserved_ip.0'), 'latin1'), '10.0.0.2');
    assert.equal(statSync(file('10.0.0.2')).mode & 0o777, 0o600);
    assert.equal(statSync(join(dataDir, 'net')).mode & 0o777, 0o755);
  });

  it('tells who holds the lock when it is not free by the deadline of the call', () => {
    add('c1');
    using lock = FileLock.acquire(file('lock'));
    assert.ok(lock);
    const hints = { deadline: Date.now() + 30 };
    assert.throws(() => plugin.add(args('c2'), { ...context, hints }), {
      name: 'CniError',
      code: 11,
      message: new RegExp(
        `^failed to lock "${file('lock')}": held by process ${process.pid} for longer than \\d+ ms$`,
      ),
    });
    lock.release();
    assert.deepEqual(add('c2'), ['10.0.0.3/29']);
  });

  it('gives one address of each set, with gateway, routes and dns', () => {
    const resolvConf = join(dataDir, 'resolv.conf');
    writeFileSync(resolvConf, 'nameserver 10.9.9.9\n');
    const ipam = {
      ranges: [[{ subnet: '10.0.0.0/29' }], [{ subnet: 'fd00::/64' }]],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.3' }],
      resolvConf,
    };
    assert.deepEqual(plugin.add(args('c1', ipam), context), {
      cniVersion: '1.1.0',
      interfaces: [],
      ips: [
        { address: '10.0.0.2/29', gateway: '10.0.0.1' },
        { address: 'fd00::2/64', gateway: 'fd00::1' },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.3' }],
      dns: { nameservers: ['10.9.9.9'] },
    });
    assert.equal(readFileSync(file('last_reserved_ip.1'), 'latin1'), 'fd00::2');
  });

  it('takes turns, does not give an address again at once, and frees it on DEL', () => {
    add('c1');
    del('c1');
    assert.deepEqual(add('c2'), ['10.0.0.3/29']);
    del('c2');
    del('c2');
    assert.deepEqual(names(), ['last_reserved_ip.0', 'lock']);
  });

  it('refuses a second address for the same attachment, but not for another interface', () => {
    add('c1');
    const message =
      'failed to allocate for range 0: 10.0.0.2 has been allocated to c1, duplicate allocation is not allowed';
    assert.throws(() => add('c1'), { code: 999, message });
    assert.deepEqual(add('c1', undefined, { ifName: 'eth1' }), ['10.0.0.3/29']);
    del('c1');
    assert.equal(existsSync(file('10.0.0.2')), false);
    assert.equal(existsSync(file('10.0.0.3')), true);
  });

  it('says when a set is exhausted, and gives back what it took from the sets before', () => {
    const ipam = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.0.0.0/30' }]] };
    add('c1', ipam);
    const message =
      'failed to allocate for range 1: no IP addresses available in range set: 10.0.0.1-10.0.0.2';
    assert.throws(() => add('c2', ipam), { message });
    assert.deepEqual(
      names().filter((name) => name.startsWith('10.')),
      ['10.0.0.2', '10.1.0.2'],
    );
  });

  it('gives requested addresses, or says why not', () => {
    const ask = (ip: string): Partial<PluginArgs> => ({ args: `IP=${ip}` });
    assert.deepEqual(add('c1', undefined, ask('10.0.0.5')), ['10.0.0.5/29']);
    const taken =
      'failed to allocate for range 0: requested IP address 10.0.0.5 is not available in range set 10.0.0.1-10.0.0.6';
    assert.throws(() => add('c2', undefined, ask('10.0.0.5')), { message: taken });
    const gateway = "failed to allocate for range 0: requested ip 10.0.0.1 is subnet's gateway";
    assert.throws(() => add('c2', undefined, ask('10.0.0.1')), { message: gateway });
    assert.throws(() => add('c2', undefined, ask('10.9.9.9')), {
      message: 'failed to allocate all requested IPs: 10.9.9.9',
    });
    assert.deepEqual(
      names().filter((name) => name.startsWith('10.')),
      ['10.0.0.5'],
    );
  });

  it('hands out no withheld address, asked for or not', () => {
    context = { ...context, hints: { withheld: { addresses: ['10.0.0.2'], hostPorts: [] } } };
    assert.deepEqual(add('c1'), ['10.0.0.3/29']);
    assert.throws(() => add('c2', undefined, { args: 'IP=10.0.0.2' }), /10\.0\.0\.2 is not available/);
  });

  it('notices what others do to the directory', () => {
    add('c1');
    writeFileSync(file('10.0.0.3'), 'other\r\neth0');
    assert.deepEqual(add('c2'), ['10.0.0.4/29']);
    unlinkSync(file('10.0.0.2'));
    writeFileSync(file('10.0.0.2'), 'other2\r\neth0');
    plugin.check(args('other2'), context);
    assert.throws(() => plugin.check(args('c1'), context), {
      message: 'host-local: Failed to find address added by container c1',
    });
    del('other');
    assert.equal(existsSync(file('10.0.0.3')), false);
  });

  it('frees and finds files of old releases, which name only the container', () => {
    add('c1');
    writeFileSync(file('10.0.0.3'), 'old');
    plugin.check(args('old'), context);
    assert.throws(() => add('old'), /10\.0\.0\.3 has been allocated to old/);
    del('old');
    assert.equal(existsSync(file('10.0.0.3')), false);
  });

  it('leaves an address alone whose file is empty, until the DEL of a container that had it', () => {
    add('c1');
    writeFileSync(file('10.0.0.3'), '');
    assert.deepEqual(add('c2'), ['10.0.0.4/29']);
    del('c3');
    assert.equal(existsSync(file('10.0.0.3')), true);
    del('c3', {
      prevResult: { ...someResult, ips: [{ address: '10.0.0.3/29' }, { address: '10.0.0.4/29' }] },
    });
    assert.equal(existsSync(file('10.0.0.3')), false);
    assert.equal(existsSync(file('10.0.0.4')), true);
  });

  describe('finds files that a crash or a full disk left torn, and', () => {
    /** Content of 10.0.0.3, which was of c3. */
    const lost = ['', ' \r\n', '\0'.repeat(12), '\x7fELF\x02\x01', 'c3 \r\n/eth0', '{"id":"c3"}'];
    const cut = ['c', 'c3', 'c3\r\n', 'c3\r\net'];
    const whole = ['c3\r\neth0', 'c3\r\neth0\r\n', 'c3\neth0', 'c3\neth0\n'];
    const prevResult = { ...someResult, ips: [{ address: '10.0.0.3/29' }] };
    const write = (content: string, ageMs = 0): void => {
      mkdirSync(join(dataDir, 'net'), { recursive: true });
      // Not in place, which nobody does and the index would not notice.
      rmSync(file('10.0.0.3'), { force: true });
      writeFileSync(file('10.0.0.3'), content);
      const time = new Date(Date.now() - ageMs);
      utimesSync(file('10.0.0.3'), time, time);
    };
    const isThere = (): boolean => existsSync(file('10.0.0.3'));
    const gc = (owners: readonly string[], living?: readonly string[]): void => {
      if (living !== undefined) context = { ...context, hints: { living } };
      const listed = owners.map((containerID) => ({ containerID, ifname: 'eth0' }));
      plugin.gc?.(pluginArgs({ ipam: { dataDir }, 'cni.dev/valid-attachments': listed }), context);
    };

    for (const content of [...lost, ...cut, ...whole]) {
      const name = JSON.stringify(content);
      it(`hands out no address twice beside ${name}, and frees it by the DEL whose result has it`, () => {
        write(content);
        assert.deepEqual([add('a'), add('b')], [['10.0.0.2/29'], ['10.0.0.4/29']]);
        del('c3', { prevResult });
        assert.equal(isThere(), false);
        assert.deepEqual(names().length, 4);
      });
    }

    for (const content of whole) {
      it(`knows the owner in ${JSON.stringify(content)} by any line end`, () => {
        write(content);
        plugin.check(args('c3'), context);
        gc(['c3']);
        assert.equal(isThere(), true);
        del('c3');
        assert.equal(isThere(), false);
      });
    }

    it("leaves another one's address alone, torn or not, whatever a previous result says", () => {
      for (const content of ['c4', 'c4\r\neth0', 'c3\r\neth1']) {
        write(content);
        del('c3', { prevResult });
        assert.equal(isThere(), true, content);
      }
    });

    it('collects what tells no owner after a minute, unless a pod has the address', () => {
      for (const content of lost) {
        write(content);
        gc([]);
        assert.equal(isThere(), true, 'too young');
        write(content, 61_000);
        gc([], ['10.0.0.3']);
        assert.equal(isThere(), true, 'a pod has it');
        gc([], []);
        assert.equal(isThere(), false, content);
      }
    });

    it('collects half an owner only when it cannot be of one that is listed', () => {
      for (const content of cut) {
        write(content, 61_000);
        gc(['c3']);
        assert.equal(isThere(), true, content);
        gc(['d3']);
        assert.equal(isThere(), false, content);
      }
    });

    it('frees them for an ADD that finds no other address, once the runtime tells which ones pods have', () => {
      const ipam = { subnet: '10.0.0.0/29', rangeEnd: '10.0.0.3' };
      assert.deepEqual(add('a', ipam), ['10.0.0.2/29']);
      write('', 61_000);
      plugin.status?.(args('', ipam), context);
      assert.throws(() => add('b', ipam), /no IP addresses available/);
      context = { ...context, hints: { living: ['10.0.0.2', '10.0.0.3'] } };
      assert.throws(() => add('b', ipam), /no IP addresses available/);
      context = { ...context, hints: { living: ['10.0.0.2'] } };
      assert.deepEqual(add('b', ipam), ['10.0.0.3/29']);
      write('', 0);
      assert.throws(() => add('c', ipam), /no IP addresses available/, 'its writer may be at work');
      assert.throws(() => plugin.status?.(args('', ipam), context), { code: 50 });
    });

    for (const content of ['', 'x', '\0\0\0\0', '10.0.0.3\n', '10.9.9.9', 'fd00::1']) {
      it(`begins at the first address when last_reserved_ip.0 is ${JSON.stringify(content)}, and mends it`, () => {
        add('a');
        add('b');
        writeFileSync(file('last_reserved_ip.0'), content);
        assert.deepEqual(add('c'), ['10.0.0.4/29']);
        assert.equal(readFileSync(file('last_reserved_ip.0'), 'latin1'), '10.0.0.4');
      });
    }
  });

  it('makes nothing on DEL, CHECK and STATUS of an unknown network', () => {
    del('c1');
    plugin.status?.(args('c1'), context);
    assert.throws(() => plugin.check(args('c1'), context), /Failed to find address/);
    assert.deepEqual(readdirSync(dataDir), []);
  });

  it('clears away what a crash left half made', () => {
    mkdirSync(join(dataDir, 'net'));
    writeFileSync(file('.reserving'), 'c9\r\neth0');
    assert.deepEqual(add('c1'), ['10.0.0.2/29']);
    assert.equal(existsSync(file('.reserving')), false);
  });

  it('says in STATUS that no address is left, with code 50', () => {
    const ipam = { subnet: '10.0.0.0/30' };
    plugin.status?.(args('', ipam), context);
    add('c1', ipam);
    const message = 'no IP addresses available in range set 0: 10.0.0.1-10.0.0.2';
    assert.throws(() => plugin.status?.(args('', ipam), context), { code: 50, message });
  });

  it('frees on GC what no valid attachment has, and old files without an owner', () => {
    for (const id of ['c1', 'c2', 'c3']) add(id);
    writeFileSync(file('10.0.0.5'), '');
    writeFileSync(file('10.0.0.6'), '');
    const old = new Date(Date.now() - 120_000);
    utimesSync(file('10.0.0.6'), old, old);
    const gc = (attachments: JsonObject): void =>
      plugin.gc?.(pluginArgs({ ipam: { dataDir }, ...attachments }), context);
    gc({});
    assert.equal(names().filter((name) => name.startsWith('10.')).length, 5);
    gc({ 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] });
    assert.deepEqual(
      names().filter((name) => name.startsWith('10.')),
      ['10.0.0.3', '10.0.0.5'],
    );
    assert.deepEqual(context.lines, [
      'removed address 10.0.0.2 of c1',
      'removed address 10.0.0.4 of c3',
      'removed address 10.0.0.6 of ',
    ]);
  });
});
