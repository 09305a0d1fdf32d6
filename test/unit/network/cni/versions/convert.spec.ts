import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CniError, type Result } from '../../../../../src/network/cni/types.ts';
import { fromResult, toResult } from '../../../../../src/network/cni/versions/convert.ts';
import { familyOf } from '../../../../../src/network/cni/versions/addresses.ts';

const octet = fc.nat(255);
const ip4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const ip6 = fc.nat(0xfffe).map((tail) => `fd00:1::${(tail + 1).toString(16)}`);
const cidr4 = fc.tuple(ip4, fc.nat(32)).map(([ip, length]) => `${ip}/${length}`);
const cidr6 = fc.tuple(ip6, fc.nat(128)).map(([ip, length]) => `${ip}/${length}`);
const cidr = fc.oneof(cidr4, cidr6);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

const resultInterface = fc
  .record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    mac: optional(fc.constant('02:00:00:00:00:01')),
    mtu: optional(fc.integer({ min: 68, max: 9000 })),
    sandbox: optional(fc.constant('/run/netns/a')),
  })
  .map(defined);

const result: fc.Arbitrary<Result> = fc.array(resultInterface, { maxLength: 4 }).chain((interfaces) =>
  fc
    .record({
      cniVersion: fc.constant('1.1.0'),
      interfaces: fc.constant(interfaces as Result['interfaces']),
      ips: fc.array(
        fc
          .record({
            interface:
              interfaces.length === 0 ? fc.constant(undefined) : optional(fc.nat(interfaces.length - 1)),
            address: cidr,
            gateway: optional(fc.oneof(ip4, ip6)),
          })
          .map(defined) as fc.Arbitrary<Result['ips'][number]>,
        { maxLength: 4 },
      ),
      routes: fc.array(
        fc
          .record({
            dst: cidr,
            gw: optional(fc.oneof(ip4, ip6)),
            mtu: optional(fc.integer({ min: 1, max: 9000 })),
            priority: optional(fc.integer({ min: 1, max: 99 })),
            table: optional(fc.nat(99)),
            scope: optional(fc.nat(255)),
          })
          .map(defined) as fc.Arbitrary<Result['routes'][number]>,
        { maxLength: 4 },
      ),
      dns: fc
        .record({
          nameservers: optional(fc.array(ip4, { minLength: 1, maxLength: 2 })),
          domain: optional(fc.constant('cluster.local')),
        })
        .map(defined) as fc.Arbitrary<Result['dns']>,
    })
    .map(defined),
);

function thrownBy(work: () => unknown): CniError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CniError, `expected a CniError, got ${String(error)}`);
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
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
