import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import {
  type Address,
  bits,
  formatAddress,
  formatCidr,
  lastOf,
  networkOf,
  offset,
  parseAddress,
  sameAddress,
} from '../../../../../src/network/plugins/address.ts';
import { createHostLocal } from '../../../../../src/network/plugins/ipam/host-local/index.ts';
import { parseRangeSet, type Range } from '../../../../../src/network/plugins/ipam/host-local/ranges.ts';
import type { PluginContext } from '../../../../../src/network/plugins/plugin.ts';
import { addressBetween, anyAddress, defined } from '../../../../helpers/network-arbitraries.ts';
import { fakeContext, pluginArgs } from '../fake-plugin.ts';

/** A range as it may be configured: a subnet, and some of its bounds and its gateway. */
const anyRange = anyAddress.chain((address) =>
  fc.integer({ min: 8, max: bits(address.family) - 2 }).chain((prefix) => {
    const subnet = { address: networkOf({ address, prefix }), prefix };
    const last = lastOf(subnet).value - (address.family === 4 ? 1n : 0n);
    const inside = addressBetween(address.family, subnet.address.value + 1n, last);
    const optional = fc.option(inside, { nil: undefined });
    return fc.tuple(optional, optional, optional).map(([a, b, gateway]) => {
      const [start, end] = a !== undefined && b !== undefined && b.value < a.value ? [b, a] : [a, b];
      return { subnet, start, end, gateway };
    });
  }),
);

describe('ranges of host-local', () => {
  it('lie within their subnet, without its network and broadcast addresses, by whatever bounds are given', () => {
    fc.assert(
      fc.property(anyRange, ({ subnet, start, end, gateway }) => {
        const text = (address: Address | undefined) =>
          address === undefined ? undefined : formatAddress(address);
        const configured = defined({
          subnet: formatCidr(subnet),
          rangeStart: text(start),
          rangeEnd: text(end),
          gateway: text(gateway),
        }) as JsonObject;
        const [range] = parseRangeSet([configured], 'set', 0);
        assert.ok(range);
        assert.ok(range.start.value > subnet.address.value);
        assert.ok(range.start.value <= range.end.value);
        assert.ok(range.end.value <= lastOf(subnet).value);
        if (range.end.family === 4) assert.ok(range.end.value < lastOf(subnet).value);
        assert.deepEqual(range.start, start ?? offset(subnet.address, 1n));
        if (end !== undefined) assert.deepEqual(range.end, end);
        assert.deepEqual(range.gateway, gateway ?? offset(subnet.address, 1n));
      }),
    );
  });
});

/** Two small subnets, near one another or at the ends of a family's addresses. */
const smallSets = fc.constantFrom<readonly string[]>(
  ['10.0.0.0/29'],
  ['10.0.0.0/30', '10.0.0.8/30'],
  ['255.255.255.248/29'],
  ['0.0.0.0/29', '10.0.0.0/30'],
  ['fd00::/125'],
  ['fd00::10/126', 'fd00::/126'],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125'],
);

type Action =
  | { readonly do: 'add' | 'del'; readonly id: number }
  | { readonly do: 'ask'; readonly id: number; readonly nth: number }
  | { readonly do: 'take' | 'withhold'; readonly nth: number };

const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), id: fc.nat(9) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('del' as const), id: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('ask' as const), id: fc.nat(9), nth: fc.nat(15) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'withhold' as const), nth: fc.nat(15) }),
    },
  ),
  { maxLength: 40 },
);

/** What the plugin must do, said in the slowest and plainest way. */
class Model {
  /** Addresses in the order in which they are tried from the first one. */
  readonly order: readonly string[];
  readonly gateways: ReadonlySet<string>;
  readonly owners = new Map<string, string>();
  readonly withheld = new Set<string>();
  #last = -1;

  constructor(ranges: readonly Range[]) {
    this.gateways = new Set(ranges.map(({ gateway }) => formatAddress(gateway)));
    this.order = ranges.flatMap(({ start, end }) =>
      Array.from({ length: Number(end.value - start.value) + 1 }, (_, i) =>
        formatAddress(offset(start, BigInt(i))),
      ),
    );
  }

  isFree(address: string): boolean {
    const isTaken = this.owners.has(address) || this.withheld.has(address) || this.gateways.has(address);
    return this.order.includes(address) && !isTaken;
  }

  /** From the one after the last that was given, all around. */
  next(): string | undefined {
    const around = [...this.order.slice(this.#last + 1), ...this.order.slice(0, this.#last + 1)];
    return around.find((address) => this.isFree(address));
  }

  give(address: string, owner: string): void {
    this.owners.set(address, owner);
    this.#last = this.order.indexOf(address);
  }

  has(owner: string): boolean {
    return [...this.owners.values()].includes(owner);
  }

  free(owner: string): void {
    for (const [address, other] of this.owners) if (other === owner) this.owners.delete(address);
  }
}

describe('allocation of host-local', () => {
  it('gives the next free address, never one that is reserved, withheld, a gateway, a network or a broadcast address, and fails when none is left and only then', function () {
    this.timeout(120_000);
    fc.assert(
      fc.property(smallSets, actions, (subnets, todo) => {
        const dataDir = mkdtempSync(join(tmpdir(), 'brt-properties-'));
        try {
          play(dataDir, subnets, todo);
        } finally {
          rmSync(dataDir, { recursive: true });
        }
      }),
      { numRuns: 150 },
    );
  });
});

function play(dataDir: string, subnets: readonly string[], todo: readonly Action[]): void {
  const plugin = createHostLocal();
  const set = subnets.map((subnet) => ({ subnet }));
  const ranges = parseRangeSet(set, 'set', 0);
  const model = new Model(ranges);
  const directory = join(dataDir, 'net');
  mkdirSync(directory);
  const config = { ipam: { dataDir, ranges: [set] } };
  const context = (): PluginContext => ({
    ...fakeContext([]),
    hints: { withheld: { addresses: [...model.withheld], hostPorts: [] } },
  });
  const add = (id: string, more = {}): string =>
    plugin.add(pluginArgs(config, { containerId: id, ...more }), context()).ips[0]?.address.split('/')[0] ??
    '';

  for (const action of todo) {
    const wanted = 'nth' in action ? (model.order[action.nth % model.order.length] ?? '') : '';
    const id = 'id' in action ? `c${action.id}` : '';
    if (action.do === 'take') {
      // Another program on the same directory.
      if (model.owners.has(wanted)) continue;
      writeFileSync(join(directory, wanted), 'other\r\neth0');
      model.owners.set(wanted, 'other');
    } else if (action.do === 'withhold') {
      model.withheld.add(wanted);
    } else if (action.do === 'del') {
      plugin.del(pluginArgs(config, { containerId: id }), context());
      model.free(id);
    } else if (action.do === 'ask') {
      if (model.has(id)) continue;
      const ask = (): string => add(id, { args: `IP=${wanted}` });
      if (model.isFree(wanted)) {
        assert.equal(ask(), wanted);
        model.give(wanted, id);
      } else assert.throws(ask, /is subnet's gateway|is not available in range set/);
    } else if (model.has(id)) {
      assert.throws(() => add(id), /duplicate allocation is not allowed/);
    } else {
      const expected = model.next();
      if (expected === undefined) assert.throws(() => add(id), /no IP addresses available in range set/);
      else {
        const given = add(id);
        assert.equal(given, expected);
        assertUsable(given, ranges);
        model.give(given, id);
      }
    }
    const onDisk = readdirSync(directory).filter((name) => parseAddress(name) !== undefined);
    assert.deepEqual(onDisk.sort(), [...model.owners.keys()].sort());
  }
  for (const [address, owner] of model.owners)
    assert.equal(readFileSync(join(directory, address), 'latin1'), `${owner}\r\neth0`);
}

function assertUsable(text: string, ranges: readonly Range[]): void {
  const address = parseAddress(text);
  assert.ok(address);
  for (const { subnet, gateway } of ranges) {
    assert.ok(!sameAddress(address, networkOf(subnet)), `${text} is a network address`);
    assert.ok(!sameAddress(address, gateway), `${text} is a gateway`);
    if (address.family === 4)
      assert.ok(!sameAddress(address, lastOf(subnet)), `${text} is a broadcast address`);
  }
}
