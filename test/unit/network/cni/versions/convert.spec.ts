import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JsonObject } from '../../../../../src/lib/json.ts';
import { CniError, type Result } from '../../../../../src/network/cni/types.ts';
import { fromResult, toResult } from '../../../../../src/network/cni/versions/convert.ts';
import { familyOf } from '../../../../../src/network/cni/versions/addresses.ts';
import { SUPPORTED_VERSIONS } from '../../../../../src/network/cni/versions/versions.ts';
import {
  anyCidrText as cidr,
  anyResult as result,
  defined,
} from '../../../../helpers/network-arbitraries.ts';

function thrownBy(work: () => unknown): CniError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CniError, `expected a CniError, got ${String(error)}`);
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
}

/** Versions of one generation write the same form. */
function generation(version: string): number {
  if (version < '0.3.0') return 0;
  return version < '1.0.0' ? 1 : 2;
}

function isOf(family: 4 | 6): (address: string) => boolean {
  return (address) => familyOf(address) === family;
}

/** Each of `some` is one of `all`, in that order; of the keys it has no other value, but may lack it. */
function assertSubsequence<T extends object>(
  some: readonly T[],
  all: readonly T[],
  ...keys: readonly (keyof T)[]
): void {
  let at = 0;
  for (const item of some) {
    const isSource = (other: T): boolean =>
      keys.every((key) => item[key] === undefined || item[key] === other[key]);
    while (at < all.length && !isSource(all[at] as T)) at += 1;
    assert.ok(at < all.length, `${JSON.stringify(item)} is not, in this order, of ${JSON.stringify(all)}`);
    at += 1;
  }
}

describe('CNI result conversion', () => {
  it('keeps everything through 1.0.0 and 1.1.0', () => {
    fc.assert(
      fc.property(result, fc.constantFrom('1.0.0', '1.1.0'), (given, version) => {
        const written = fromResult(given, version);
        assert.equal(written['cniVersion'], version);
        assert.deepEqual(toResult(JSON.parse(JSON.stringify(written)), '0.1.0'), given);
      }),
    );
  });

  it('loses only the new interface fields through 0.3.0 to 0.4.0', () => {
    fc.assert(
      fc.property(result, fc.constantFrom('0.3.0', '0.3.1', '0.4.0'), (given, version) => {
        const back = toResult(fromResult(given, version), '');
        const interfaces = given.interfaces.map((entry) => defined({ ...entry, mtu: undefined }));
        assert.deepEqual(back, { ...given, interfaces });
      }),
    );
  });

  it('keeps the first address of each family, and its routes, through 0.1.0 and 0.2.0', () => {
    fc.assert(
      fc.property(result, fc.constantFrom('0.1.0', '0.2.0'), (given, version) => {
        fc.pre(given.ips.length > 0);
        const back = toResult(fromResult(given, version), '');
        const firsts = ([4, 6] as const).flatMap(
          (family) => given.ips.find(({ address }) => familyOf(address) === family) ?? [],
        );
        assert.deepEqual(
          back.ips.map(({ address }) => address),
          firsts.map(({ address }) => address),
        );
        const families = firsts.map(({ address }) => familyOf(address));
        const kept = given.routes.filter(({ dst }) => families.includes(familyOf(dst)));
        assert.deepEqual(back.routes.map(({ dst }) => dst).sort(), kept.map(({ dst }) => dst).sort());
        assert.deepEqual(back.dns, given.dns);
      }),
    );
  });

  describe('from any version to any other', () => {
    const version = fc.constantFrom(...SUPPORTED_VERSIONS);
    /** A result that a plugin of that version could have printed. */
    const printed = fc
      .tuple(result, version)
      .filter(([{ ips }, form]) => ips.length > 0 || form >= '0.3.0')
      .map(([given, form]) => ({ form, json: fromResult(given, form) }));
    const through = (json: unknown, form: string): JsonObject => fromResult(toResult(json, ''), form);

    it('changes nothing when it is the same', () => {
      fc.assert(
        fc.property(printed, ({ form, json }) => {
          assert.deepEqual(through(JSON.parse(JSON.stringify(json)), form), json);
        }),
      );
    });

    it('comes back whole by way of any newer one, and of its equals', () => {
      fc.assert(
        fc.property(printed, version, ({ form, json }, other) => {
          fc.pre(other >= form || generation(other) === generation(form));
          assert.deepEqual(through(through(json, other), form), json);
        }),
      );
    });

    it('keeps the order of what it keeps, and invents nothing', () => {
      fc.assert(
        fc.property(printed, version, ({ json }, other) => {
          const before = toResult(json, '');
          fc.pre(before.ips.length > 0 || other >= '0.3.0');
          const after = toResult(through(json, other), '');
          assertSubsequence(after.interfaces, before.interfaces, 'name', 'mac', 'mtu', 'sandbox');
          // The oldest forms hold each family apart: the order between them has no place there.
          const parts = other < '0.3.0' ? [isOf(4), isOf(6)] : [() => true];
          for (const part of parts) {
            const ips = ({ ips: all }: Result) => all.filter(({ address }) => part(address));
            const routes = ({ routes: all }: Result) => all.filter(({ dst }) => part(dst));
            assertSubsequence(ips(after), ips(before), 'address', 'gateway');
            assertSubsequence(routes(after), routes(before), 'dst', 'gw', 'priority', 'table', 'mtu');
          }
          for (const [key, value] of Object.entries(after.dns))
            assert.deepEqual(value, (before.dns as Record<string, unknown>)[key]);
        }),
      );
    });

    it('leaves every address on the interface that it was on', () => {
      fc.assert(
        fc.property(printed, version, ({ json }, other) => {
          fc.pre(other >= '0.3.0');
          const before = toResult(json, '');
          const after = toResult(through(json, other), '');
          const names = ({ ips, interfaces }: Result) =>
            ips.map((ip) => (ip.interface === undefined ? '' : interfaces[ip.interface]?.name));
          assert.deepEqual(names(after), names(before));
        }),
      );
    });
  });

  it('either parses or throws a CniError, whatever a plugin prints', () => {
    const hostile = fc.oneof(
      fc.jsonValue(),
      fc.record({
        cniVersion: fc.constantFrom('0.2.0', '0.4.0', '1.1.0', ''),
        interfaces: fc.jsonValue(),
        ips: fc.oneof(
          fc.jsonValue(),
          fc.array(fc.record({ address: fc.oneof(cidr, fc.string()), interface: fc.jsonValue() })),
        ),
        routes: fc.jsonValue(),
        ip4: fc.jsonValue(),
        dns: fc.jsonValue(),
      }),
    );
    fc.assert(
      fc.property(hostile, (value) => {
        try {
          toResult(value, '1.0.0');
        } catch (error) {
          assert.ok(error instanceof CniError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('refuses an interface index that is out of range, also 0 without interfaces', () => {
    const ips = [{ address: '10.1.0.2/24', interface: 0 }];
    const error = thrownBy(() => toResult({ cniVersion: '1.0.0', ips }, ''));
    assert.equal(error.code, 6);
    assert.match(error.message, /ips\[0\]\.interface: index 0 is out of range, the result has 0 interfaces/);
    const two = { cniVersion: '1.0.0', interfaces: [{ name: 'a' }, { name: 'b' }] };
    for (const index of [2, -1]) {
      assert.match(
        thrownBy(() => toResult({ ...two, ips: [{ ...ips[0], interface: index }] }, '')).message,
        /out of range/,
      );
    }
    assert.match(
      thrownBy(() => toResult({ ...two, ips: [{ ...ips[0], interface: 0.5 }] }, '')).message,
      /expected an integer/,
    );
  });

  for (const address of [
    '10.1.0.2',
    '10.1.0.2/33',
    '10.1.0.256/24',
    '10.1.0.2/+1',
    'fd00::1/129',
    'fe80::1%eth0/64',
    '',
    '/24',
  ]) {
    it(`refuses the address "${address}"`, () => {
      assert.match(
        thrownBy(() => toResult({ ips: [{ address }] }, '1.0.0')).message,
        /ips\[0\]\.address: invalid CIDR address/,
      );
    });
  }

  it('takes the version of the configuration when the result names none', () => {
    const legacy = { ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0' }] } };
    assert.deepEqual(toResult(legacy, '0.2.0'), {
      cniVersion: '1.1.0',
      interfaces: [],
      ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
      dns: {},
    });
    assert.deepEqual(toResult(legacy, '').ips, [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }]);
    assert.deepEqual(toResult({ cniVersion: '', ips: [{ address: 'FD00::0:1/64' }] }, '0.4.0').ips, [
      { address: 'fd00::1/64' },
    ]);
  });

  it('reads keys in whatever case, as Go does, and null as absent', () => {
    const value = {
      CNIVersion: '0.4.0',
      Interfaces: [{ Name: 'eth0', Mac: null }],
      IPs: [{ Address: '10.1.0.2/24', Interface: 0 }],
      routes: null,
    };
    assert.deepEqual(toResult(value, ''), {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth0' }],
      ips: [{ address: '10.1.0.2/24', interface: 0 }],
      routes: [],
      dns: {},
    });
  });

  it('writes ips with their version and an empty dns for 0.3.0 to 0.4.0, as the reference libraries do', () => {
    const given = toResult({ ips: [{ address: '10.1.0.2/24' }, { address: 'fd00::2/64' }] }, '1.0.0');
    assert.deepEqual(fromResult(given, '0.4.0'), {
      cniVersion: '0.4.0',
      ips: [
        { version: '4', address: '10.1.0.2/24' },
        { version: '6', address: 'fd00::2/64' },
      ],
      dns: {},
    });
    assert.deepEqual(fromResult(given, '1.0.0')['dns'], undefined);
  });

  it('has no form without an address for 0.2.0', () => {
    assert.match(
      thrownBy(() => fromResult(toResult({}, '1.0.0'), '0.2.0')).message,
      /^cannot convert: no valid IP addresses$/,
    );
  });

  it('refuses versions that it does not speak, with code 1', () => {
    assert.equal(thrownBy(() => toResult({ cniVersion: '2.0.0' }, '1.0.0')).code, 1);
    assert.equal(thrownBy(() => fromResult(toResult({}, '1.0.0'), '9.9.9')).code, 1);
  });

  it('is not fooled by prototype keys', () => {
    const value = JSON.parse(
      '{"cniVersion":"1.0.0","__proto__":{"ips":[{"address":"10.0.0.1/8"}]},"constructor":1}',
    ) as unknown;
    assert.deepEqual(toResult(value, '').ips, []);
  });
});
