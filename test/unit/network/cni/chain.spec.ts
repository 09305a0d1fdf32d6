import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { BerthError } from '../../../../src/lib/errors.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { ResultCache } from '../../../../src/network/cni/cache.ts';
import { Chain } from '../../../../src/network/cni/chain.ts';
import {
  type Invoke,
  type InvokeOptions,
  PluginError,
  type PluginReply,
  type PluginRequest,
} from '../../../../src/network/cni/invoke/invoke.ts';
import type { Attachment, NetworkList, PluginConf, Step } from '../../../../src/network/cni/types.ts';

const signal = new AbortController().signal;

type Behaviour = (request: PluginRequest, options: InvokeOptions) => unknown;

/** Plugins by type as functions; keeps every request. */
class RecordingInvoke implements Invoke {
  readonly requests: PluginRequest[] = [];
  readonly behaviours: Record<string, Behaviour> = {};

  async invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    this.requests.push(structuredClone({ ...request, hints: request.hints ?? {} }));
    const output = await this.behaviours[request.type]?.(request, options);
    return { output, provider: `/bin/${request.type}`, stderr: '' };
  }

  get calls(): string[] {
    return this.requests.map(({ verb, type }) => `${verb} ${type}`);
  }
}

function network(plugins: PluginConf[], changes: Partial<NetworkList> = {}): NetworkList {
  const list = {
    name: 'net',
    cniVersion: '1.1.0',
    disableCheck: false,
    disableGC: false,
    plugins,
    source: '',
    ...changes,
  };
  const text = JSON.stringify({ name: list.name, cniVersion: list.cniVersion, plugins });
  return { text, ...list };
}

function attachment(list: NetworkList, changes: Partial<Attachment> = {}): Attachment {
  return {
    network: list,
    containerId: 'c1',
    netns: '/run/netns/n',
    ifName: 'eth0',
    args: [['A', '1']],
    capabilityArgs: {},
    ...changes,
  };
}

const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/n' }],
  ips: [{ interface: 0, address: '10.0.0.2/24' }],
};

describe('a chain', () => {
  let dir: string;
  let invoke: RecordingInvoke;
  let cache: ResultCache;
  let chain: Chain;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'brt-chain-'));
    invoke = new RecordingInvoke();
    invoke.behaviours['bridge'] = ({ verb }) => (verb === 'ADD' ? RESULT : undefined);
    invoke.behaviours['portmap'] = ({ verb, config }) => (verb === 'ADD' ? config['prevResult'] : undefined);
    cache = new ResultCache(dir);
    chain = new Chain({ invoke, cache, binDirs: ['/opt/cni/bin', '/usr/lib/cni'] });
  });
  afterEach(() => rm(dir, { recursive: true }));

  const both = (changes: Partial<NetworkList> = {}) =>
    network(
      [
        { type: 'bridge', mtu: 1400 },
        { type: 'portmap', capabilities: { portMappings: true, mac: false } },
      ],
      changes,
    );
  const cached = () => cache.read({ network: 'net', containerId: 'c1', ifName: 'eth0' });

  describe('on ADD', () => {
    it('gives each plugin its configuration, what it declares, and the result of the one before', async () => {
      const capabilityArgs = { portMappings: [{ hostPort: 80 }], mac: '02::', dns: {} };
      const given = attachment(both(), { capabilityArgs });
      const result = await chain.add(given, {
        signal,
        hints: { withheld: { addresses: ['10.0.0.9'], hostPorts: [] } },
      });
      const [first, second] = invoke.requests;
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
      await chain.add(attachment(both({ cniVersion: '0.4.0' })), { signal });
      assert.deepEqual((await cached())?.result, {
        cniVersion: '0.4.0',
        interfaces: RESULT.interfaces,
        ips: [{ version: '4', interface: 0, address: '10.0.0.2/24' }],
        dns: {},
      });
      assert.deepEqual(JSON.parse((await cached())?.config ?? ''), {
        name: 'net',
        cniVersion: '0.4.0',
        plugins: both().plugins,
      });
    });

    it('stops at the plugin that fails, undoes nothing, and says which one it was', async () => {
      invoke.behaviours['portmap'] = () => {
        throw new PluginError('no port', { code: 11, provider: '/bin/portmap' });
      };
      await assert.rejects(chain.add(attachment(both()), { signal }), (error: unknown) => {
        assert.ok(error instanceof BerthError);
        assert.match(
          error.message,
          /^plugin type="portmap" name="net" failed \(add\): no port \(after [\d.]+ ms, \/bin\/portmap\)$/,
        );
        assert.equal(error.code, 'UNAVAILABLE');
        assert.equal(error.meta['cniCode'], 11);
        return true;
      });
      assert.deepEqual(invoke.calls, ['ADD bridge', 'ADD portmap']);
      assert.equal(await cached(), undefined);
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
        invoke.behaviours['bridge'] = () => output;
        await assert.rejects(chain.add(attachment(both()), { signal }), problem);
      });
    }

    it('is unavailable when there is no such plugin, and of no known code when the plugin fails', async () => {
      for (const [provider, code] of [
        ['', 'UNAVAILABLE'],
        ['/bin/bridge', 'UNKNOWN'],
      ] as const) {
        invoke.behaviours['bridge'] = () => {
          throw new PluginError('no', { provider });
        };
        await assert.rejects(
          chain.add(attachment(both()), { signal }),
          (error: unknown) => error instanceof BerthError && error.code === code,
        );
      }
    });

    it('takes the version of the list for a result without one', async () => {
      invoke.behaviours['bridge'] = () => ({ ip4: { ip: '10.0.0.2/24' } });
      const result = await chain.add(attachment(network([{ type: 'bridge' }], { cniVersion: '0.2.0' })), {
        signal,
      });
      assert.deepEqual(result.ips, [{ address: '10.0.0.2/24' }]);
    });

    it('reports each step with its masked configuration, how long it took and how it failed', async () => {
      const steps: Step[] = [];
      const list = network([{ type: 'bridge', token: 'hunter2' }, { type: 'portmap' }]);
      invoke.behaviours['portmap'] = () => {
        throw new PluginError('no', { code: 7, provider: '/bin/portmap', stderr: 'hint' });
      };
      await assert.rejects(chain.add(attachment(list), { signal, onStep: (step) => steps.push(step) }));
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
      assert.equal(invoke.requests[0]?.config['token'], 'hunter2');
    });

    it('keeps a message under 4 KiB, the beginning and the end of it', async () => {
      invoke.behaviours['bridge'] = () => {
        throw new PluginError(`begin${'ä'.repeat(100_000)}the end`);
      };
      await assert.rejects(chain.add(attachment(both()), { signal }), (error: Error) => {
        assert.ok(Buffer.byteLength(error.message) < 4096);
        return error.message.includes('begin') && error.message.includes('the end');
      });
    });

    it('ends at the deadline with the plugin, the time and its last words', async () => {
      const controller = new AbortController();
      invoke.behaviours['bridge'] = async (_request, options) => {
        await after(20);
        controller.abort(new BerthError('DEADLINE_EXCEEDED', 'add took longer than 20 ms'));
        throw new PluginError('killed', {
          cause: options.signal.reason,
          stderr: 'waiting for the moon',
          provider: '/bin/bridge',
        });
      };
      await assert.rejects(chain.add(attachment(both()), { signal: controller.signal }), (error: unknown) => {
        assert.ok(error instanceof BerthError && error.code === 'DEADLINE_EXCEEDED');
        assert.match(
          error.message,
          /type="bridge".*ended before it answered: add took longer than 20 ms; stderr: waiting for the moon \(after \d+/,
        );
        return true;
      });
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
          chain.add(attachment(both(), changes), { signal }),
          (error: unknown) => error instanceof BerthError && error.code === 'INVALID_ARGUMENT',
        );
        assert.deepEqual(invoke.calls, []);
      });
    }
  });

  describe('on DEL', () => {
    it('goes in reverse, gives each plugin the cached result, and drops the cache file', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      assert.deepEqual(await chain.del(attachment(both()), { signal, hints: { namespaceEnds: true } }), {
        failures: [],
      });
      assert.deepEqual(invoke.calls, ['DEL portmap', 'DEL bridge']);
      for (const { config, hints } of invoke.requests) {
        assert.deepEqual(config['prevResult'], { ...RESULT, cniVersion: '1.1.0' });
        assert.deepEqual(hints, { namespaceEnds: true });
      }
      assert.equal(await cached(), undefined);
    });

    it('goes on without a result when the cache file is empty or torn, by the one that it is given, and drops it', async () => {
      for (const content of ['', '{"kind":"cniCac', '\0\0\0\0']) {
        for (const result of [undefined, RESULT]) {
          await chain.add(attachment(both()), { signal });
          await writeFile(join(dir, 'results', 'net-c1-eth0'), content);
          invoke.requests.length = 0;
          const { failures } = await chain.del(attachment(both()), {
            signal,
            ...(result === undefined ? {} : { result: { ...result, interfaces: [], routes: [], dns: {} } }),
          });
          assert.deepEqual(failures, []);
          assert.deepEqual(invoke.calls, ['DEL portmap', 'DEL bridge']);
          const given = invoke.requests.map(({ config }) => config['prevResult'] !== undefined);
          assert.deepEqual(given, [result !== undefined, result !== undefined]);
          assert.deepEqual(await readdir(join(dir, 'results')), []);
        }
      }
    });

    it('goes past a failing plugin and says what is owed, with the cache file kept', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      invoke.behaviours['portmap'] = () => {
        throw new PluginError('nft is busy', { code: 11 });
      };
      const { failures } = await chain.del(attachment(both()), { signal });
      assert.deepEqual(invoke.calls, ['DEL portmap', 'DEL bridge']);
      assert.deepEqual(
        failures.map(({ index, type, code }) => [index, type, code]),
        [[1, 'portmap', 11]],
      );
      assert.match(
        failures[0]?.error ?? '',
        /^plugin type="portmap" name="net" failed \(delete\): nft is busy/,
      );
      assert.notEqual(await cached(), undefined);
    });

    it('asks only those plugins that are owed, without a namespace, and then drops the cache file', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      assert.deepEqual(await chain.del(attachment(both()), { signal, only: [1], netns: '' }), {
        failures: [],
      });
      assert.deepEqual(invoke.calls, ['DEL portmap']);
      assert.equal(invoke.requests[0]?.netns, '');
      assert.equal(await cached(), undefined);
    });

    it('takes an unknown container (code 3) for deleted', async () => {
      invoke.behaviours['bridge'] = () => {
        throw new PluginError('who?', { code: 3 });
      };
      assert.deepEqual(await chain.del(attachment(both()), { signal }), { failures: [] });
    });

    it('prefers the result that it is given to the cached one, and has none before 0.4.0', async () => {
      const result = {
        cniVersion: '1.1.0',
        interfaces: [],
        ips: [{ address: '10.0.0.7/24' }],
        routes: [],
        dns: {},
      };
      await chain.del(attachment(both()), { signal, result });
      assert.deepEqual(invoke.requests[0]?.config['prevResult'], {
        cniVersion: '1.1.0',
        ips: [{ address: '10.0.0.7/24' }],
      });
      await chain.del(attachment(both({ cniVersion: '0.3.1' })), { signal, result });
      assert.ok(!('prevResult' in (invoke.requests[2]?.config ?? {})));
    });

    it('works with a damaged cache file, and with none', async () => {
      await chain.add(attachment(both()), { signal });
      await writeFile(
        join(dir, 'results', 'net-c1-eth0'),
        '{"kind":"cniCacheV1","result":{"ips":[{"address":"x"}]},"networkName":"net","containerId":"c1","ifName":"eth0"}',
      );
      invoke.requests.length = 0;
      assert.deepEqual(await chain.del(attachment(both()), { signal }), { failures: [] });
      assert.ok(invoke.requests.every(({ config }) => !('prevResult' in config)));
      assert.deepEqual(await readdir(join(dir, 'results')), []);
      assert.deepEqual(await chain.del(attachment(both()), { signal }), { failures: [] });
    });

    it('leaves time to the plugins after one that hangs', async () => {
      invoke.behaviours['portmap'] = (_request, options) =>
        new Promise((_resolve, reject) =>
          options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
        );
      const { failures } = await chain.del(attachment(both()), { signal, timeoutMs: 60 });
      assert.deepEqual(invoke.calls, ['DEL portmap', 'DEL bridge']);
      assert.match(failures[0]?.error ?? '', /type="portmap".*delete took longer than \d+ ms/);
      assert.equal(failures.length, 1);
    });
  });

  describe('on CHECK', () => {
    it('gives each plugin the final result, in order', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      await chain.check(attachment(both()), { signal });
      assert.deepEqual(invoke.calls, ['CHECK bridge', 'CHECK portmap']);
      assert.ok(invoke.requests.every(({ config }) => 'prevResult' in config));
    });

    it('does nothing when disabled, and is refused without a result or before 0.4.0', async () => {
      await chain.check(attachment(both({ disableCheck: true })), { signal });
      await assert.rejects(chain.check(attachment(both()), { signal }), /cached result: there is none/);
      await assert.rejects(
        chain.check(attachment(both({ cniVersion: '0.3.1' })), { signal }),
        /does not support CHECK/,
      );
      assert.deepEqual(invoke.calls, []);
    });
  });

  describe('on STATUS and VERSION', () => {
    it('asks every plugin up to the first that cannot serve', async () => {
      await chain.status(both(), { signal });
      assert.deepEqual(invoke.calls, ['STATUS bridge', 'STATUS portmap']);
      assert.deepEqual(invoke.requests[0]?.config, {
        type: 'bridge',
        mtu: 1400,
        name: 'net',
        cniVersion: '1.1.0',
      });
      invoke.behaviours['bridge'] = () => {
        throw new PluginError('pool is empty', { code: 50 });
      };
      await assert.rejects(
        chain.status(both(), { signal }),
        (error: unknown) => error instanceof BerthError && error.meta['cniCode'] === 50,
      );
      assert.deepEqual(invoke.calls.slice(2), ['STATUS bridge']);
    });

    it('has nothing to ask before 1.1.0', async () => {
      await chain.status(both({ cniVersion: '1.0.0' }), { signal });
      assert.deepEqual(invoke.calls, []);
    });

    it('knows the versions of new, old and very old plugins', async () => {
      invoke.behaviours['new'] = () => ({ cniVersion: '1.1.0', supportedVersions: ['0.4.0', '1.0.0'] });
      invoke.behaviours['old'] = () => ({ cniVersion: '0.2.0' });
      invoke.behaviours['ancient'] = () => {
        throw new PluginError('unknown CNI_COMMAND: VERSION');
      };
      assert.deepEqual(await chain.version('new', { signal }), ['0.4.0', '1.0.0']);
      assert.deepEqual(await chain.version('old', { signal }), ['0.1.0', '0.2.0']);
      assert.deepEqual(await chain.version('ancient', { signal }), ['0.1.0']);
      await assert.rejects(chain.version('bridge', { signal }), /failed \(version\): decoding version info/);
    });
  });

  describe('on GC', () => {
    const nobody = { valid: [], isStale: () => false };

    it('deletes what is ours and dead with the arguments of its ADD, and lists all else as alive', async () => {
      const capabilityArgs = { portMappings: [{ hostPort: 1 }] };
      for (const containerId of ['dead', 'foreign'])
        await chain.add(attachment(both(), { containerId, capabilityArgs }), { signal });
      await cache.write(attachment(network([], { name: 'other' }), { containerId: 'elsewhere' }), RESULT);
      invoke.requests.length = 0;
      const valid = [{ network: 'net', containerId: 'alive', ifName: 'eth0' }];
      await chain.gc(both(), { valid, isStale: (entry) => entry.containerId === 'dead' }, { signal });
      assert.deepEqual(invoke.calls, ['DEL portmap', 'DEL bridge', 'GC bridge', 'GC portmap']);
      const [del, , gc] = invoke.requests;
      assert.equal(del?.containerId, 'dead');
      assert.deepEqual(del.config['runtimeConfig'], capabilityArgs);
      const attachments = [
        { containerID: 'alive', ifname: 'eth0' },
        { containerID: 'foreign', ifname: 'eth0' },
      ];
      assert.deepEqual(gc?.config['cni.dev/valid-attachments'], attachments);
      assert.deepEqual(gc.config['cni.dev/attachments'], attachments);
      assert.deepEqual((await readdir(join(dir, 'results'))).sort(), [
        'net-foreign-eth0',
        'other-elsewhere-eth0',
      ]);
    });

    it("deletes with the configuration of the attachment's ADD, not with today's", async () => {
      await chain.add(attachment(network([{ type: 'bridge', bridge: 'old0' }])), { signal });
      invoke.requests.length = 0;
      await chain.gc(
        network([{ type: 'bridge', bridge: 'new0' }], { cniVersion: '1.0.0' }),
        { valid: [], isStale: () => true },
        { signal },
      );
      assert.deepEqual(
        invoke.requests.map(({ config }) => config['bridge']),
        ['old0'],
      );
    });

    it('keeps what is valid even when it is called stale', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      await chain.gc(
        both(),
        { valid: [{ network: 'net', containerId: 'c1', ifName: 'eth0' }], isStale: () => true },
        { signal },
      );
      assert.deepEqual(invoke.calls, ['GC bridge', 'GC portmap']);
    });

    it('counts a cache file that does not say whose it is as alive, however its name may be read', async () => {
      await mkdir(join(dir, 'results'), { recursive: true });
      for (const name of ['net-x-eth0', 'net-a-b-eth-1', 'net-', 'net-x', 'net--x', 'other-y-eth0'])
        await writeFile(join(dir, 'results', name), name === 'net-x-eth0' ? '' : '{"kind":"cniCac');
      await chain.gc(both(), nobody, { signal });
      assert.deepEqual(invoke.calls, ['GC bridge', 'GC portmap']);
      const listed = invoke.requests[0]?.config['cni.dev/valid-attachments'] as JsonObject[];
      assert.deepEqual(
        listed.map(({ containerID, ifname }) => [containerID, ifname]),
        [
          ['a', 'b-eth-1'],
          ['a-b', 'eth-1'],
          ['a-b-eth', '1'],
          ['x', 'eth0'],
        ],
      );
      assert.equal((await readdir(join(dir, 'results'))).length, 6);
    });

    it('deletes nothing in a dry run, and tells the plugins that it is one, with all else as it will be', async () => {
      await chain.add(attachment(both()), { signal });
      invoke.requests.length = 0;
      const plan = { valid: [], isStale: () => true, dryRun: true };
      await chain.gc(both(), plan, { signal, hints: { living: ['10.0.0.9'] } });
      assert.deepEqual(invoke.calls, ['GC bridge', 'GC portmap']);
      const [gc] = invoke.requests;
      assert.deepEqual(gc?.hints, { living: ['10.0.0.9'], dryRun: true });
      assert.deepEqual(gc.config['cni.dev/valid-attachments'], []);
      assert.equal((await readdir(join(dir, 'results'))).length, 1);
      await chain.gc(both(), { ...plan, dryRun: false }, { signal });
      assert.deepEqual(invoke.calls.slice(2), ['DEL portmap', 'DEL bridge', 'GC bridge', 'GC portmap']);
      assert.equal(invoke.requests.at(-1)?.hints?.dryRun, false);
    });

    it('goes past failing plugins and tells of all', async () => {
      invoke.behaviours['bridge'] = invoke.behaviours['portmap'] = ({ type }) => {
        throw new PluginError(`${type} is ill`);
      };
      await assert.rejects(chain.gc(both(), nobody, { signal }), (error: Error) =>
        /failed to GC plugin bridge: .*bridge is ill.*\nfailed to GC plugin portmap: .*portmap is ill/.test(
          error.message,
        ),
      );
    });

    it('does nothing for a list that disables it, and calls no verb before 1.1.0', async () => {
      await chain.gc(both({ disableGC: true }), nobody, { signal });
      await chain.gc(both({ cniVersion: '1.0.0' }), nobody, { signal });
      assert.deepEqual(invoke.calls, []);
    });

    it('waits for the cache file of an ADD whose caller does not', async () => {
      let write = (): void => undefined;
      const writable = new Promise<void>((resolve) => (write = resolve));
      cache = new ResultCache(dir, async (path, data) => {
        await writable;
        await writeFile(path, data);
      });
      await mkdir(join(dir, 'results'));
      chain = new Chain({ invoke, cache, binDirs: [] });
      await chain.add(attachment(both()), { signal, onCacheWrite: () => undefined });
      const collecting = chain.gc(both(), nobody, { signal });
      await after(5);
      assert.ok(!invoke.calls.includes('GC bridge'));
      write();
      await collecting;
      const { config } = invoke.requests.find(({ verb }) => verb === 'GC') ?? assert.fail('no GC');
      assert.deepEqual(config['cni.dev/valid-attachments'], [{ containerID: 'c1', ifname: 'eth0' }]);
    });

    it('runs alone: not during an ADD, and ADDs wait for it', async () => {
      const order: string[] = [];
      invoke.behaviours['bridge'] = async ({ verb }) => {
        order.push(`${verb} begins`);
        await after(20);
        order.push(`${verb} ends`);
        return verb === 'ADD' ? RESULT : undefined;
      };
      const list = network([{ type: 'bridge' }]);
      const adding = chain.add(attachment(list), { signal });
      const collecting = chain.gc(list, nobody, { signal });
      await adding;
      await after(5);
      await chain.add(attachment(list, { containerId: 'c2' }), { signal });
      await collecting;
      assert.deepEqual(order, ['ADD begins', 'ADD ends', 'GC begins', 'GC ends', 'ADD begins', 'ADD ends']);
    });
  });
});
