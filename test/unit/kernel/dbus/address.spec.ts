import assert from 'node:assert/strict';
import { parseBusAddress } from '../../../../src/kernel/dbus/address.ts';

const names = (list: string): string[] =>
  parseBusAddress(list).map(({ sockaddr }) => sockaddr.subarray(2).toString('latin1'));

describe('D-Bus addresses', () => {
  it('name paths and abstract sockets, in order', () => {
    assert.deepEqual(
      names('unix:path=/run/dbus/system_bus_socket,guid=00ff;tcp:host=x,port=1;unix:guid=0,abstract=bus'),
      ['/run/dbus/system_bus_socket\0', '\0bus'],
    );
    assert.equal(parseBusAddress('unix:path=/x')[0]?.sockaddr.readUInt16LE(), 1);
  });

  it('are unescaped byte by byte', () => {
    assert.deepEqual(names('unix:path=/tmp/a%20b%3b%C3%A9'), ['/tmp/a b;\xc3\xa9\0']);
  });

  it('without a usable unix socket are refused with the whole list', () => {
    const long = `unix:path=/${'x'.repeat(107)}`;
    for (const list of [
      '',
      'tcp:host=x',
      'unix:dir=/tmp',
      'unix:path=',
      'unix:path=/%2',
      'unixpath=/x',
      long,
    ]) {
      assert.throws(() => parseBusAddress(list), {
        code: 'INVALID_ARGUMENT',
        message: new RegExp(`^invalid DBUS_SYSTEM_BUS_ADDRESS: "${list}" has `),
      });
    }
    assert.equal(names(`unix:path=/${'x'.repeat(106)}`).length, 1);
  });
});
