import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Address,
  formatAddress,
  offset,
  parseAddress,
} from '../../../../../src/network/plugins/address.ts';
import { AddressSet } from '../../../../../src/network/plugins/ipam/host-local/address-set.ts';
import { firstFree, stretches } from '../../../../../src/network/plugins/ipam/host-local/allocate.ts';
import {
  parseRangeSet,
  type RangeSet,
  rangeContains,
} from '../../../../../src/network/plugins/ipam/host-local/ranges.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

function set(...subnets: string[]): RangeSet {
  return parseRangeSet(
    subnets.map((subnet) => ({ subnet })),
    'set',
    0,
  );
}

function takenOf(texts: readonly string[]): AddressSet {
  const taken = new AddressSet();
  for (const text of texts) taken.add(address(text));
  return taken;
}

function next(
  ranges: RangeSet,
  taken: readonly string[],
  last?: string,
  withheld: readonly string[] = [],
): string | undefined {
  const along = stretches(ranges, last === undefined ? undefined : address(last));
  const free = firstFree(along, takenOf(taken), new Set(withheld));
  return free === undefined ? undefined : formatAddress(free.address);
}

/** The walk of the reference plugin, one address after the other. */
function slowNext(
  ranges: RangeSet,
  taken: ReadonlySet<string>,
  last: Address | undefined,
): string | undefined {
  const order = ranges.flatMap((range) => {
    const count = Number(range.end.value - range.start.value) + 1;
    return Array.from({ length: count }, (_, index) => ({
      range,
      text: formatAddress(offset(range.start, BigInt(index))),
    }));
  });
  const at = last === undefined ? -1 : order.findIndex(({ text }) => text === formatAddress(last));
  const walk = [...order.slice(at + 1), ...order.slice(0, at + 1)];
  return walk.find(({ range, text }) => !taken.has(text) && text !== formatAddress(range.gateway))?.text;
}

describe('host-local allocation order', () => {
  it('starts at the first address after the gateway', () => {
    assert.equal(next(set('10.0.0.0/29'), []), '10.0.0.2');
    assert.equal(next(set('10.0.0.0/30'), []), '10.0.0.2');
    assert.equal(next(set('2001:db8:1::/64'), []), '2001:db8:1::2');
    assert.equal(next(set('10.0.0.0/29'), ['10.0.0.2']), '10.0.0.3');
  });

  it('goes on after the last one, around the end, and comes to the last one last', () => {
    const ranges = set('10.0.0.0/29');
    assert.equal(next(ranges, [], '10.0.0.5'), '10.0.0.6');
    assert.equal(next(ranges, ['10.0.0.4', '10.0.0.5'], '10.0.0.3'), '10.0.0.6');
    assert.equal(next(ranges, ['10.0.0.6'], '10.0.0.5'), '10.0.0.2');
    assert.equal(next(ranges, ['10.0.0.2'], '10.0.0.128'), '10.0.0.3');
    assert.equal(next(ranges, ['10.0.0.2', '10.0.0.4', '10.0.0.5', '10.0.0.6'], '10.0.0.3'), '10.0.0.3');
    assert.equal(
      next(ranges, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6'], '10.0.0.3'),
      undefined,
    );
  });

  it('walks the ranges of a set in turn', () => {
    const ranges = set('10.0.0.0/30', '10.0.1.0/30');
    assert.equal(next(ranges, ['10.0.0.2']), '10.0.1.2');
    assert.equal(next(ranges, [], '10.0.0.2'), '10.0.1.2');
    assert.equal(next(ranges, [], '10.0.1.2'), '10.0.0.2');
  });

  it('passes over withheld addresses', () => {
    assert.equal(next(set('10.0.0.0/29'), [], undefined, ['10.0.0.2', '10.0.0.3']), '10.0.0.4');
    assert.equal(next(set('10.0.0.0/30'), [], undefined, ['10.0.0.2']), undefined);
  });

  it('finds what a walk over every address finds', () => {
    const ranges = set('10.0.0.0/28', '10.0.3.248/29');
    const inside = fc
      .integer({ min: 0, max: 40 })
      .map((index) => (index < 16 ? `10.0.0.${index}` : `10.0.3.${231 + index - 16}`));
    fc.assert(
      fc.property(fc.array(inside), fc.option(inside, { nil: undefined }), (taken, lastText) => {
        const last = lastText === undefined ? undefined : address(lastText);
        const known =
          last !== undefined && ranges.some((range) => rangeContains(range, last)) ? last : undefined;
        assert.equal(next(ranges, taken, lastText), slowNext(ranges, new Set(taken), known));
      }),
    );
  });
});

describe('address set', () => {
  it('behaves as a plain set', () => {
    const base = address('10.0.3.240').value;
    const step = fc.tuple(fc.constantFrom('add', 'delete'), fc.bigInt({ min: 0n, max: 3000n }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.bigInt({ min: 0n, max: 3000n }), (steps, from) => {
        const fast = new AddressSet();
        const plain = new Set<bigint>();
        for (const [what, by] of steps) {
          const each: Address = { family: 4, value: base + by };
          if (what === 'add') {
            fast.add(each);
            plain.add(each.value);
          } else {
            fast.delete(each);
            plain.delete(each.value);
          }
        }
        let wanted: bigint | undefined = base + from;
        while (wanted !== undefined && plain.has(wanted))
          wanted = wanted < base + 3000n ? wanted + 1n : undefined;
        const to: Address = { family: 4, value: base + 3000n };
        assert.equal(fast.firstAbsent({ family: 4, value: base + from }, to)?.value, wanted);
      }),
    );
  });

  it('skips what is full, of 60,000 addresses and more', () => {
    const taken = new AddressSet();
    const first = address('10.0.0.1');
    for (let index = 0n; index < 60_000n; index += 1n) taken.add(offset(first, index));
    const free = taken.firstAbsent(first, address('10.0.255.254'));
    assert.equal(free && formatAddress(free), '10.0.234.97');
    assert.equal(taken.has(address('fd00::1')), false);
  });
});
