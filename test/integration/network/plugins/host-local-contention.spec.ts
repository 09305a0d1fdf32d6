import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { ExecInvoke } from '../../../../src/network/cni/invoke/exec-invoke.ts';
import type { Invoke } from '../../../../src/network/cni/invoke/invoke.ts';
import {
  BuiltinInvoke,
  DelegatedExecutables,
  pluginJobsModule,
} from '../../../../src/network/plugins/builtin-invoke.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNetns } from '../../../helpers/netns.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell, type Provider, referencePlugins } from '../../../helpers/plugin-process.ts';

const CALLS = 200;
/** Calls at a time: enough for the lock to be waited for at all times, and not so many that two cores thrash. */
const AT_ONCE = 12;

/** Who serves a call: one of two daemons on their worker threads, or an executable. */
type Caller = 'daemon a' | 'daemon b' | Provider;
/** In this order, over and over. Berth's executable takes its time to start. */
const TURNS: readonly Caller[] = [
  ...(['daemon a', 'reference', 'daemon b', 'reference'] as const),
  ...(['daemon a', 'berth', 'daemon b', 'reference'] as const),
];

describe('host-local with many callers on one range', () => {
  let cleanup: Cleanup;
  let node: TestNode;
  let dataDir: string;
  let netns: TestNetns;
  let daemons: Readonly<Record<'daemon a' | 'daemon b', Invoke>>;

  before(() => {
    netns = new TestNetns();
  });
  after(() => netns[Symbol.dispose]());

  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    dataDir = cleanup.use(await Scratch.create()).path;
    daemons = { 'daemon a': daemon(), 'daemon b': daemon() };
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  function daemon(): Invoke {
    const delegated = new DelegatedExecutables(new ExecInvoke());
    const { serve } = delegated;
    const pool = new ThreadPool({ name: 'contender', size: 1, modules: [pluginJobsModule], serve });
    cleanup.defer(() => pool.stop());
    return new BuiltinInvoke(pool, delegated);
  }

  async function ask(verb: 'ADD' | 'DEL', caller: Caller, containerId: string): Promise<string> {
    // As many addresses as there are calls: one that is lost is one that the last caller does not get.
    const range = { subnet: '10.7.0.0/24', rangeStart: '10.7.0.2', rangeEnd: '10.7.0.201' };
    const config: JsonObject = {
      cniVersion: '1.0.0',
      name: 'net',
      type: 'bridge',
      ipam: { type: 'host-local', dataDir, ranges: [[range]] },
    };
    const call = { verb, type: 'host-local', config, containerId, netns: netns.path };
    const output =
      caller === 'reference' || caller === 'berth'
        ? await callWell(node, caller, call)
        : (
            await daemons[caller].invoke(
              { ...call, ifName: 'eth0', args: '', path: [referencePlugins] },
              { signal: new AbortController().signal },
            )
          ).output;
    const [first] = ((output as JsonObject | undefined)?.['ips'] ?? []) as JsonObject[];
    return ((first?.['address'] ?? '') as string).replace('/24', '');
  }

  /** All calls of one verb, AT_ONCE at a time; the answers by container. `shift` moves every container to another caller. */
  async function all(verb: 'ADD' | 'DEL', shift: number): Promise<Map<string, string>> {
    const answers = new Map<string, string>();
    const waiting = Array.from({ length: CALLS }, (_, index) => index).values();
    const worker = async (): Promise<void> => {
      for (const index of waiting) {
        const caller = TURNS[(index + shift) % TURNS.length] ?? 'reference';
        answers.set(`p${index}`, await ask(verb, caller, `p${index}`));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return answers;
  }

  const files = (): string[] => readdirSync(join(dataDir, 'net')).sort();

  it('gives each of 200 an address of its own, loses none, and has an empty directory when each has gone by another', async function () {
    this.timeout(300_000);
    const given = await all('ADD', 0);
    assert.equal(new Set(given.values()).size, CALLS);
    for (const [containerId, address] of given)
      assert.equal(readFileSync(join(dataDir, 'net', address), 'latin1'), `${containerId}\r\neth0`);
    assert.equal(files().length, CALLS + 2);
    for (const caller of new Set(TURNS))
      await assert.rejects(ask('ADD', caller, 'one-more'), /no IP addresses available in range set/, caller);

    await all('DEL', 1);
    assert.deepEqual(files(), ['last_reserved_ip.0', 'lock']);
    for (const caller of new Set(TURNS)) await ask('ADD', caller, caller.replace(' ', '-'));
    assert.equal(files().length, new Set(TURNS).size + 2, 'every caller has seen that the range is empty');
  });
});
