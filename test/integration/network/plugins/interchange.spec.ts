import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../../../src/lib/json.ts';
import { isJsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { comparable, networkState } from '../../../helpers/network-state.ts';
import { TestNode } from '../../../helpers/node.ts';
import {
  callPlugin,
  callWell,
  otherOf,
  type PluginCall,
  providers,
} from '../../../helpers/plugin-process.ts';

async function natState(on: TestNode): Promise<readonly string[]> {
  return (await networkState(on))['nat'] as string[];
}

/** A machine with one container's namespace. */
interface Machine {
  readonly host: TestNode;
  readonly pod: TestNode;
  readonly dataDir: string;
}

describe('plugins beside the reference plugins', () => {
  let cleanup: Cleanup;

  beforeEach(() => {
    cleanup = new Cleanup();
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  async function machine(): Promise<Machine> {
    const host = cleanup.use(await TestNode.create());
    const pod = cleanup.use(await TestNode.create());
    await pod.run('ip', 'link', 'set', 'lo', 'down');
    return { host, pod, dataDir: cleanup.use(await Scratch.create()).path };
  }

  function call(on: Machine, verb: PluginCall['verb'], config: JsonObject): PluginCall {
    const ipam = isJsonObject(config['ipam']) ? { ipam: { ...config['ipam'], dataDir: on.dataDir } } : {};
    return { verb, type: config['type'] as string, netns: on.pod.path, config: { ...config, ...ipam } };
  }

  /** The result of a run, with the namespace's path and what is random taken out. */
  function resultOf(on: Machine, output: JsonObject | undefined): Json {
    const text = JSON.stringify(output ?? {}).replaceAll(on.pod.path, 'NETNS');
    const { dns, ...rest } = JSON.parse(text) as JsonObject;
    return comparable({ ...rest, ...(isJsonObject(dns) && Object.keys(dns).length > 0 ? { dns } : {}) });
  }

  async function stateOf(on: Machine): Promise<Json> {
    const [host, pod] = await Promise.all([networkState(on.host), networkState(on.pod)]);
    const files = readdirSync(on.dataDir, { recursive: true, encoding: 'utf8' }).sort();
    return JSON.parse(JSON.stringify({ host, pod, files }).replaceAll(on.pod.name, 'POD')) as Json;
  }

  /** Compares once both have settled: carriers, addresses and port states change a while after the plugins have ended. */
  async function assertSameState(one: Machine, other: Machine, what: string): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const [first, second] = await Promise.all([stateOf(one), stateOf(other)]);
      if (JSON.stringify(first) === JSON.stringify(second)) return;
      if (attempt === 49) assert.equal(JSON.stringify(first, null, 1), JSON.stringify(second, null, 1), what);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  const ranges = {
    type: 'host-local',
    ranges: [[{ subnet: '10.66.0.0/24' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const dual = {
    type: 'host-local',
    ranges: [[{ subnet: '10.66.0.0/24' }], [{ subnet: 'fd66::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  };
  const base = { cniVersion: '1.0.0', name: 'net' };
  const configs: Record<string, JsonObject> = {
    loopback: { ...base, type: 'loopback' },
    'bridge, layer 2 only': { ...base, type: 'bridge', bridge: 'br66' },
    'bridge as gateway': { ...base, type: 'bridge', bridge: 'br66', isGateway: true, ipam: ranges },
    'bridge with masquerading': {
      ...base,
      type: 'bridge',
      bridge: 'br66',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: ranges,
    },
    'bridge as default gateway, dual stack': {
      ...base,
      type: 'bridge',
      bridge: 'br66',
      isDefaultGateway: true,
      ipMasq: true,
      mtu: 1400,
      ipam: { ...dual, routes: [] },
    },
    'bridge, an old version': {
      ...base,
      cniVersion: '0.2.0',
      type: 'bridge',
      bridge: 'br66',
      isGateway: true,
      ipam: ranges,
    },
    'bridge, promiscuous': {
      ...base,
      cniVersion: '0.4.0',
      type: 'bridge',
      bridge: 'br66',
      isGateway: true,
      promiscMode: true,
      ipam: ranges,
    },
  };

  for (const [what, config] of Object.entries(configs)) {
    it(`gives the same result and leaves the same state: ${what}`, async function () {
      this.timeout(120_000);
      const ours = await machine();
      const theirs = await machine();
      for (const verb of ['ADD', 'DEL'] as const) {
        const our = await callWell(ours.host, 'berth', call(ours, verb, config));
        const their = await callWell(theirs.host, 'reference', call(theirs, verb, config));
        assert.deepEqual(resultOf(ours, our), resultOf(theirs, their));
        await assertSameState(ours, theirs, verb);
      }
    });

    for (const first of providers) {
      it(`lets the other DEL what ${first} ADDed: ${what}`, async function () {
        this.timeout(120_000);
        const one = await machine();
        const prevResult = (await callWell(one.host, first, call(one, 'ADD', config))) ?? {};
        const version = config['cniVersion'] as string;
        const withPrevious = version < '0.4.0' ? config : { ...config, prevResult };
        await callWell(one.host, otherOf[first], call(one, 'DEL', withPrevious));
        const pure = await machine();
        await callWell(pure.host, 'reference', call(pure, 'ADD', config));
        await callWell(pure.host, 'reference', call(pure, 'DEL', config));
        await assertSameState(one, pure, 'after DEL');
      });
    }
  }

  it('serves a chain of executables: bridge of one and portmap of the other', async function () {
    this.timeout(120_000);
    const on = await machine();
    const bridge = { ...base, type: 'bridge', bridge: 'br66', isGateway: true, ipMasq: true, ipam: ranges };
    for (const first of providers) {
      const prevResult = (await callWell(on.host, first, call(on, 'ADD', bridge))) ?? {};
      const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
      const portmap = { ...base, type: 'portmap', prevResult, runtimeConfig: { portMappings } };
      assert.deepEqual(
        resultOf(on, await callWell(on.host, otherOf[first], call(on, 'ADD', portmap))),
        resultOf(on, prevResult),
      );
      await callWell(on.host, first, call(on, 'DEL', portmap));
      await callWell(on.host, otherOf[first], call(on, 'DEL', bridge));
      assert.deepEqual(
        (await natState(on.host)).filter((line) => /CNI-(DN-)?[0-9a-f]{10}/.test(line)),
        [],
      );
    }
  });

  it('delegates from flannel to bridge and host-local, which the reference plugins can take down', async function () {
    this.timeout(120_000);
    const on = await machine();
    const subnetFile = join(on.dataDir, 'subnet.env');
    writeFileSync(
      subnetFile,
      'FLANNEL_NETWORK=10.66.0.0/16\nFLANNEL_SUBNET=10.66.0.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n',
    );
    const dataDir = join(on.dataDir, 'flannel');
    const config = {
      ...base,
      type: 'flannel',
      subnetFile,
      dataDir,
      ipam: { dataDir: on.dataDir },
      delegate: { bridge: 'br66' },
    };
    const netns = on.pod.path;
    const result = await callWell(on.host, 'berth', { verb: 'ADD', type: 'flannel', netns, config });
    assert.match(JSON.stringify(result), /"address":"10\.66\.0\.2\/24"/);
    const eth0 = JSON.parse(await on.pod.run('ip', '-j', 'link', 'show', 'eth0')) as JsonObject[];
    assert.equal(eth0[0]?.['mtu'], 1450);
    assert.match((await natState(on.host)).join('\n'), /-s 10\.66\.0\.2\/32/);
    await callWell(on.host, 'berth', { verb: 'DEL', type: 'flannel', netns, config });
    assert.deepEqual(readdirSync(dataDir), []);
    assert.equal(readdirSync(join(on.dataDir, 'net')).includes('10.66.0.2'), false);
    assert.doesNotMatch((await natState(on.host)).join('\n'), /10\.66\.0\.2/);
  });

  it('prints an error object and exits with 1, and its name when it is not called by a runtime', async () => {
    const { host, pod } = await machine();
    const bad = await callPlugin(host, 'berth', {
      verb: 'ADD',
      type: 'portmap',
      netns: pod.path,
      config: { ...base, cniVersion: '9.0.0' },
    });
    assert.equal(bad.exitCode, 1);
    assert.deepEqual(
      [bad.output?.['cniVersion'], bad.output?.['code'], bad.output?.['msg']],
      ['9.0.0', 1, 'incompatible CNI versions'],
    );
    const version = await callWell(host, 'berth', { verb: 'VERSION', type: 'bridge', netns: '', config: {} });
    assert.equal(version?.['cniVersion'], '1.1.0');
  });
});
