import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { createHostLocal } from '../../../../src/network/plugins/ipam/host-local/index.ts';
import type { Plugin } from '../../../../src/network/plugins/plugin.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { fakeContext } from '../../../unit/network/plugins/fake-plugin.ts';
import { callPlugin, callWell, otherOf, providers } from '../../../helpers/plugin-process.ts';

describe('host-local beside the reference plugin', () => {
  let cleanup: Cleanup;
  let node: TestNode;
  let dataDir: string;

  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    dataDir = cleanup.use(await Scratch.create()).path;
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  function config(network: string, ipam: JsonObject = {}, more: JsonObject = {}): JsonObject {
    const ranges = [[{ subnet: '10.7.0.0/28' }], [{ subnet: 'fd07::/120', rangeStart: 'fd07::10' }]];
    const routes = [{ dst: '0.0.0.0/0' }, { dst: '10.1.0.0/16', gw: '10.7.0.9' }];
    return {
      cniVersion: '1.0.0',
      name: network,
      type: 'bridge',
      ipam: { type: 'host-local', dataDir, ranges, routes, ...ipam },
      ...more,
    };
  }

  const call = (
    network: string,
    verb: 'ADD' | 'DEL' | 'CHECK',
    containerId: string,
    ipam?: JsonObject,
    args = '',
  ) => ({
    verb,
    type: 'host-local',
    netns: '/run/netns/none',
    containerId,
    config: config(network, ipam),
    args,
  });

  function files(network: string): Record<string, string> {
    const directory = join(dataDir, network);
    return Object.fromEntries(
      readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'latin1')]),
    );
  }

  it('gives the same results and keeps the same files, call by call', async () => {
    const steps: [verb: 'ADD' | 'DEL', id: string, args?: string][] = [
      ['ADD', 'a'],
      ['ADD', 'b'],
      ['DEL', 'a'],
      ['ADD', 'c', 'IP=10.7.0.9'],
      ['ADD', 'd'],
      ['DEL', 'nobody'],
      ['ADD', 'e'],
    ];
    for (const [verb, id, args] of steps) {
      const ours = await callWell(node, 'berth', call('ours', verb, id, {}, args));
      const theirs = await callWell(node, 'reference', call('theirs', verb, id, {}, args));
      if (theirs !== undefined) delete theirs['dns'];
      assert.deepEqual(ours, theirs);
      assert.deepEqual(files('ours'), files('theirs'));
    }
    assert.equal(statSync(join(dataDir, 'ours/lock')).mode, statSync(join(dataDir, 'theirs/lock')).mode);
  });

  it('fails with the same words and leaves the same files', async () => {
    const cases: [what: string, ipam: JsonObject, args: string][] = [
      ['a duplicate', {}, ''],
      ['a taken address', {}, 'IP=10.7.0.2'],
      ['a gateway', {}, 'IP=10.7.0.1'],
      ['an address outside', {}, 'IP=10.99.0.1'],
      ['unknown arguments', {}, 'FOO=bar'],
      ['an exhausted set', { ranges: [[{ subnet: '10.7.0.0/30' }]] }, ''],
      ['host bits', { ranges: [[{ subnet: '10.7.0.3/24' }]] }, ''],
      ['an overlap', { ranges: [[{ subnet: '10.7.0.0/24' }, { subnet: '10.7.0.0/25' }]] }, ''],
      ['no ranges', { ranges: [] }, ''],
      ['a small subnet', { ranges: [[{ subnet: '10.7.0.0/31' }]] }, ''],
    ];
    for (const network of ['ours', 'theirs']) await callWell(node, 'reference', call(network, 'ADD', 'a'));
    for (const [what, ipam, args] of cases) {
      const id = what === 'a duplicate' ? 'a' : 'z';
      const ours = await callPlugin(node, 'berth', call('ours', 'ADD', id, ipam, args));
      const theirs = await callPlugin(node, 'reference', call('theirs', 'ADD', id, ipam, args));
      assert.deepEqual(
        [ours.exitCode, ours.output?.['msg']],
        [theirs.exitCode, theirs.output?.['msg']],
        what,
      );
      assert.deepEqual(files('ours'), files('theirs'), what);
    }
  });

  for (const first of providers) {
    it(`lets the other CHECK and DEL what ${first} ADDed`, async () => {
      const second = otherOf[first];
      await callWell(node, first, call('net', 'ADD', 'a'));
      await callWell(node, second, call('net', 'CHECK', 'a'));
      await callWell(node, second, call('net', 'DEL', 'a'));
      assert.deepEqual(Object.keys(files('net')).sort(), [
        'last_reserved_ip.0',
        'last_reserved_ip.1',
        'lock',
      ]);
      const check = await callPlugin(node, first, call('net', 'CHECK', 'a'));
      assert.equal(check.output?.['msg'], 'host-local: Failed to find address added by container a');
    });
  }

  it('is as fast in a /16 with 60,000 reservations as in an empty one', function () {
    this.timeout(120_000);
    const ipam = { ranges: [[{ subnet: '10.8.0.0/16' }]] };
    const full = createHostLocal();
    const directory = join(dataDir, 'net');
    mkdirSync(directory);
    for (let index = 2; index < 60_002; index += 1) {
      writeFileSync(join(directory, `10.8.${index >> 8}.${index & 255}`), `x${index}\r\neth0`);
    }
    const empty = createHostLocal();
    const emptyDir = join(dataDir, 'empty');
    const times = { full: [] as number[], empty: [] as number[] };
    addDirectly(full, 'warm', ipam);
    for (let index = 0; index < 200; index += 1) {
      times.full.push(
        timed(
          () => addDirectly(full, `a${index}`, ipam),
          () => delDirectly(full, `a${index}`, ipam),
        ),
      );
      const elsewhere = { ...ipam, dataDir: emptyDir };
      times.empty.push(
        timed(
          () => addDirectly(empty, `a${index}`, elsewhere),
          () => delDirectly(empty, `a${index}`, elsewhere),
        ),
      );
    }
    const ratio = median(times.full) / median(times.empty);
    assert.ok(ratio < 3, `${median(times.full)} ms against ${median(times.empty)} ms`);
  });

  function args(containerId: string, ipam: JsonObject) {
    const path: string[] = [];
    return {
      containerId,
      netns: '/n',
      ifName: 'eth0',
      args: '',
      path,
      config: config('net', ipam),
      prevResult: undefined,
    };
  }

  const context = fakeContext([], () => undefined);

  function addDirectly(plugin: Plugin, containerId: string, ipam: JsonObject): string | undefined {
    return plugin.add(args(containerId, ipam), context).ips[0]?.address;
  }

  function delDirectly(plugin: Plugin, containerId: string, ipam: JsonObject): void {
    plugin.del(args(containerId, ipam), context);
  }
});

function timed(...steps: (() => unknown)[]): number {
  const start = performance.now();
  for (const step of steps) step();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
