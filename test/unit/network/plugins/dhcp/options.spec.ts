import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Option } from '../../../../../src/network/plugins/ipam/dhcp/message.ts';
import {
  addressesOf,
  classlessRoutes,
  prefixOf,
  staticRoutes,
  textOf,
} from '../../../../../src/network/plugins/ipam/dhcp/options.ts';

const only = (code: number, ...bytes: number[]) => new Map([[code, Uint8Array.from(bytes)]]);

describe('options of a DHCP server', () => {
  it('a subnet mask is a prefix length, and a mask with holes is none', () => {
    const prefix = (...mask: number[]) => prefixOf(only(Option.subnetMask, ...mask));
    assert.equal(prefix(255, 255, 255, 0), 24);
    assert.equal(prefix(255, 255, 254, 0), 23);
    assert.equal(prefix(255, 255, 255, 255), 32);
    assert.equal(prefix(0, 0, 0, 0), 0);
    assert.equal(prefix(255, 0, 255, 0), undefined);
    assert.equal(prefix(255, 255, 255), undefined);
    assert.equal(prefixOf(new Map()), undefined);
  });

  it('classless routes have as many bytes of their destination as are significant (RFC 3442)', () => {
    const value = [0, 10, 0, 0, 1, 25, 10, 229, 0, 128, 10, 0, 0, 2, 32, 1, 2, 3, 4, 0, 0, 0, 0];
    assert.deepEqual(classlessRoutes(only(Option.classlessRoutes, ...value)), [
      { destination: '0.0.0.0/0', gateway: '10.0.0.1' },
      { destination: '10.229.0.128/25', gateway: '10.0.0.2' },
      { destination: '1.2.3.4/32', gateway: '0.0.0.0' },
    ]);
    assert.deepEqual(classlessRoutes(only(Option.classlessRoutes, 20, 10, 1, 255, 10, 0, 0, 1)), [
      { destination: '10.1.240.0/20', gateway: '10.0.0.1' },
    ]);
  });

  it('classless routes that are malformed anywhere are none', () => {
    for (const value of [
      [33, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      [24, 10, 0],
      [0, 10, 0, 0, 1, 8],
    ]) {
      assert.deepEqual(classlessRoutes(only(Option.classlessRoutes, ...value)), []);
    }
  });

  it('static routes go to networks of the old classes', () => {
    const value = [10, 1, 2, 3, 10, 0, 0, 1, 172, 16, 5, 5, 10, 0, 0, 2, 192, 168, 7, 1, 10, 0, 0, 3, 1, 1];
    assert.deepEqual(staticRoutes(only(Option.staticRoutes, ...value)), [
      { destination: '10.0.0.0/8', gateway: '10.0.0.1' },
      { destination: '172.16.0.0/16', gateway: '10.0.0.2' },
      { destination: '192.168.7.0/24', gateway: '10.0.0.3' },
    ]);
  });

  it('a list of addresses is whole or none, and a text has nothing that a terminal would obey', () => {
    assert.deepEqual(addressesOf(only(Option.routers, 10, 0, 0, 1, 10, 0, 0, 2), Option.routers), [
      '10.0.0.1',
      '10.0.0.2',
    ]);
    assert.deepEqual(addressesOf(only(Option.routers, 10, 0, 0, 1, 10), Option.routers), []);
    assert.equal(textOf(only(Option.message, 27, 91, 65, 0), Option.message), '[A');
  });

  it('of whatever bytes do no harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
        for (const code of [Option.classlessRoutes, Option.staticRoutes]) {
          const options = new Map([[code, value]]);
          for (const { destination, gateway } of [...classlessRoutes(options), ...staticRoutes(options)]) {
            assert.match(destination, /^(\d+\.){3}\d+\/\d+$/);
            assert.match(gateway, /^(\d+\.){3}\d+$/);
          }
        }
      }),
    );
  });
});
