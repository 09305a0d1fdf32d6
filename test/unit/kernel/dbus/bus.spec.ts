import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { BUS, MessageBus } from '../../../../src/kernel/dbus/bus.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { ScriptedBus } from '../../../helpers/dbus/scripted-bus.ts';
import { Scratch } from '../../../helpers/fixture.ts';

const OK = 'OK 0123456789abcdef\r\n';

/** An answer without arguments to the call of this serial. */
function answer(serial: number): string {
  return `l\x02\x01\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01u\0${String.fromCharCode(serial)}\0\0\0`;
}

describe('a message bus', () => {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const open = (address: string, timeoutMs = 5_000): MessageBus => MessageBus.open({ address, timeoutMs });

  it('that is not there is UNAVAILABLE, naming the socket', () => {
    assert.throws(() => open('unix:path=/nowhere/bus'), {
      code: 'UNAVAILABLE',
      message:
        'the D-Bus system bus cannot be used: failed to connect to unix:path=/nowhere/bus: no such file or directory',
    });
  });

  it('is looked for at one address after the other', async () => {
    const { address } = cleanup.use(await ScriptedBus.start([OK], [answer(1)]));
    open(`unix:path=/nowhere/bus;${address}`).close();
  });

  it('that says nothing is given up after the timeout', async () => {
    const { path } = cleanup.use(await Scratch.create());
    // The kernel takes the connection; nobody accepts it, as this thread waits.
    const server = createServer().listen(join(path, 'bus'));
    cleanup.defer(async () => void server.close());
    await once(server, 'listening');
    const descriptors = readdirSync('/proc/self/fd').length;
    assert.throws(() => open(`unix:path=${path}/bus`, 100), {
      code: 'DEADLINE_EXCEEDED',
      message: 'the D-Bus system bus did not answer within 100 ms',
    });
    assert.equal(readdirSync('/proc/self/fd').length, descriptors);
  });

  it('that has let us in and then says nothing is given up too, naming the call', async () => {
    // What it sends for Hello is a signal, and half a message.
    const signal = answer(1).replace('\x02', '\x04');
    const { address } = cleanup.use(await ScriptedBus.start([OK], [signal, answer(1).slice(0, 20)]));
    assert.throws(() => open(address, 1_000), {
      code: 'DEADLINE_EXCEEDED',
      message: 'org.freedesktop.DBus did not answer Hello within 1000 ms',
    });
  });

  it('that refuses us, hangs up or speaks something else is UNAVAILABLE', async () => {
    for (const [replies, message] of [
      [[['REJECTED EXTERNAL\r\n']], /refused us with "REJECTED EXTERNAL"/],
      [[], /closed the connection/],
      [[[OK]], /closed the connection/],
      [[['x'.repeat(2000)]], /answers no line/],
      [[[OK], ['HTTP/1.1 400 Bad Request\r\n']], /unknown byte order/],
      [[[OK], [`l\x02\x01\x01${'\xff'.repeat(12)}`]], /message of \d{10} bytes/],
    ] as const) {
      await using bus = await ScriptedBus.start(...replies);
      assert.throws(() => open(bus.address), { code: 'UNAVAILABLE', message });
    }
  });

  it('may bring an answer byte by byte, and those of others before it', async () => {
    const [other, own] = [answer(9), answer(2)];
    const { address } = cleanup.use(
      await ScriptedBus.start(Array.from(OK), [answer(1)], [other, ...Array.from(own)]),
    );
    using bus = open(address);
    assert.deepEqual(bus.call({ ...BUS, member: 'GetId', args: [] }), []);
  });
});
