import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { fileState } from '../../../helpers/network-state.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callPlugin, type Form, type PluginCall } from '../../../helpers/plugin-process.ts';

/** What is asked of both directories. `swapped`: the reference works on ours, and ours on the reference's. */
interface Operation {
  readonly verb: 'ADD' | 'DEL' | 'CHECK';
  readonly containerId: string;
  readonly ifName: string;
  /** Number of the address that is asked for, in networks with one range set. */
  readonly wanted: number | undefined;
  readonly swapped: boolean;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  verb: fc.constantFrom<Operation['verb'][]>('ADD', 'ADD', 'ADD', 'DEL', 'DEL', 'CHECK'),
  containerId: fc.nat(6).map((n) => `c${n}`),
  ifName: fc.constantFrom('eth0', 'eth0', 'eth1'),
  wanted: fc.option(fc.nat(7), { nil: undefined, freq: 4 }),
  swapped: fc.boolean(),
});

/** Small enough to be full now and then, and for the search to go round. */
const ranges: fc.Arbitrary<JsonObject[][]> = fc.constantFrom(
  [[{ subnet: '10.66.4.0/29' }]],
  [[{ subnet: '10.66.4.0/29', gateway: '10.66.4.6' }, { subnet: '10.66.5.0/30' }]],
  [
    [
      { subnet: '10.66.4.0/29', rangeEnd: '10.66.4.3', gateway: '10.66.4.3' },
      { subnet: '10.66.4.0/29', rangeStart: '10.66.4.5' },
    ],
  ],
  [[{ subnet: '10.66.4.0/29' }], [{ subnet: 'fd66::/126' }, { subnet: 'fd67::/125', rangeStart: 'fd67::3' }]],
  [[{ subnet: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125' }]],
);

describe('host-local and the reference plugin, by turns on the same directories', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  it('give the same answers and leave the same files, whatever they are asked', async function () {
    this.timeout(120_000);
    const node = cleanup.use(await TestNode.create());
    const pod = cleanup.use(await TestNode.create());
    const { path } = cleanup.use(await Scratch.create());
    let round = 0;

    async function ask(form: Form, dataDir: string, sets: JsonObject[][], op: Operation): Promise<unknown> {
      const { verb, containerId, ifName, wanted } = op;
      const subnet = sets[0]?.[0]?.['subnet'];
      const isAsked = wanted !== undefined && sets.length === 1;
      const address = (typeof subnet === 'string' ? subnet : '').replace(/[0-9a-f]\/.*$/, (last) =>
        (Number.parseInt(last, 16) + (wanted ?? 0)).toString(16),
      );
      const call: PluginCall = {
        verb,
        type: 'host-local',
        config: {
          cniVersion: '1.0.0',
          name: 'net',
          ipam: { type: 'host-local', ranges: sets, dataDir },
          ...(isAsked ? { runtimeConfig: { ips: [address] } } : {}),
        },
        containerId,
        ifName,
        netns: pod.path,
      };
      const { exitCode, output } = await callPlugin(node, form, call);
      const { ips, msg } = output ?? {};
      return { exitCode, ips, msg };
    }

    await fc.assert(
      fc.asyncProperty(ranges, fc.array(operation, { minLength: 20, maxLength: 20 }), async (sets, ops) => {
        const [ours, theirs] = ['ours', 'theirs'].map((name) => join(path, String(round), name));
        round += 1;
        assert.ok(ours !== undefined && theirs !== undefined);
        for (const directory of [ours, theirs]) mkdirSync(join(directory, 'net'), { recursive: true });
        for (const op of ops) {
          const forms: readonly [Form, Form] = op.swapped
            ? ['reference', 'in-process']
            : ['in-process', 'reference'];
          const mine = await ask(forms[0], ours, sets, op);
          const yours = await ask(forms[1], theirs, sets, op);
          assert.deepEqual(mine, yours, JSON.stringify(op));
          assert.deepEqual(fileState(ours), fileState(theirs), JSON.stringify(op));
        }
      }),
      { seed: 66, numRuns: 5, endOnFailure: true },
    );
  });
});
