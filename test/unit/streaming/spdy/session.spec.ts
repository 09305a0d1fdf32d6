import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { BerthError } from '../../../../src/lib/errors.ts';
import { dataHead, FrameDecoder, FrameEncoder } from '../../../../src/streaming/spdy/codec.ts';
import type { ControlFrame, Frame } from '../../../../src/streaming/spdy/frames.ts';
import { SpdySession, type SpdyOptions } from '../../../../src/streaming/spdy/session.ts';
import type { SpdyStream } from '../../../../src/streaming/spdy/stream.ts';
import { eventually } from '../../../helpers/fixture.ts';
import { bytesOf, textOf } from '../../../helpers/streaming/client.ts';
import { duplexPair } from '../../../helpers/streaming/duplex-pair.ts';

const NAMED = new Map([['name', 'value']]);
const CHUNK = Buffer.alloc(16 * 1024, 'x');

function pair(options: Omit<SpdyOptions, 'role'> = {}): {
  client: SpdySession;
  server: SpdySession;
  streams: SpdyStream[];
} {
  const [ours, theirs] = duplexPair();
  const streams: SpdyStream[] = [];
  const server = new SpdySession(theirs, {
    role: 'server',
    onStream: (stream) => streams.push(stream),
    ...options,
  });
  return { client: new SpdySession(ours, { role: 'client' }), server, streams };
}

/** A peer without a session: it sends what it is told to, and takes what comes. */
class RawPeer {
  readonly socket: Duplex;
  readonly session: SpdySession;
  readonly streams: SpdyStream[] = [];
  readonly received: Frame[] = [];
  readonly #encoder = new FrameEncoder();

  constructor(options: Omit<SpdyOptions, 'role'> = {}) {
    const [ours, theirs] = duplexPair();
    this.socket = ours;
    const decoder = new FrameDecoder();
    ours.on('data', (chunk: Buffer) => this.received.push(...decoder.push(chunk)));
    ours.on('error', () => undefined);
    this.session = new SpdySession(theirs, {
      role: 'server',
      onStream: (stream) => this.streams.push(stream),
      ...options,
    });
  }

  send(...frames: ControlFrame[]): void {
    for (const frame of frames) this.socket.write(this.#encoder.encode(frame));
  }

  open(streamId: number): void {
    this.send({ kind: 'syn-stream', streamId, fin: false, unidirectional: false, headers: NAMED });
  }

  data(streamId: number, bytes: Uint8Array, fin = false): boolean {
    this.socket.write(dataHead(streamId, bytes.length, fin));
    return this.socket.write(bytes);
  }

  async stream(index = 0): Promise<SpdyStream> {
    return eventually('the stream is there', () => this.streams[index]);
  }

  answer<K extends Frame['kind']>(kind: K): Promise<Frame & { kind: K }> {
    return eventually(`the session sends ${kind}`, () =>
      this.received.find((frame): frame is Frame & { kind: K } => frame.kind === kind),
    );
  }
}

function isCancelled(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'CANCELLED';
}

describe('a SPDY session', () => {
  it('carries streams both ways, each to its own end', async () => {
    const { client, streams } = pair();
    const stream = client.open(NAMED);
    await stream.write(Buffer.from('question'));
    stream.end();
    const other = await eventually('it is opened', () => streams[0]);
    assert.deepEqual(other.headers, NAMED);
    assert.equal(await textOf(other.input), 'question');
    await other.write(Buffer.from('answer'));
    other.end();
    assert.equal(await textOf(stream.input), 'answer');
    assert.equal(client.size, 0);
    await assert.rejects(stream.write(Buffer.from('more')), isCancelled);
  });

  it('brings whatever is written as it was, on many streams at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ maxLength: 100_000 }), { maxLength: 6 }), {
          minLength: 1,
          maxLength: 8,
        }),
        async (writes) => {
          const { client } = pair({
            onStream: (stream) =>
              void (async () => {
                for await (const chunk of stream.input) await stream.write(chunk);
                stream.end();
              })(),
          });
          await Promise.all(
            writes.map(async (chunks) => {
              const stream = client.open(NAMED);
              const back = bytesOf(stream.input);
              for (const chunk of chunks) await stream.write(chunk);
              stream.end();
              assert.deepEqual(await back, Buffer.concat(chunks));
            }),
          );
          await client.close();
        },
      ),
      { numRuns: 20 },
    );
  });

  it('refuses a stream by its headers', async () => {
    const { client, streams } = pair({ accept: (headers) => headers.get('name') !== 'value' });
    const stream = client.open(NAMED);
    await assert.rejects(bytesOf(stream.input), isCancelled);
    assert.deepEqual(streams, []);
  });

  it('lets either side reset a stream, and goes on', async () => {
    const { client, streams } = pair();
    const first = client.open(NAMED);
    const second = client.open(NAMED);
    const [one, two] = await eventually('they are opened', () =>
      streams.length === 2 ? streams : undefined,
    );
    first.reset();
    assert.ok(one && two);
    await assert.rejects(bytesOf(one.input), isCancelled);
    await assert.rejects(async () => {
      for (;;) await one.write(CHUNK);
    }, isCancelled);
    two.reset();
    await assert.rejects(bytesOf(second.input), isCancelled);
    await client.ping();
    assert.equal(client.size, 0);
  });

  it('answers pings', async () => {
    const { client, server } = pair();
    await Promise.all([client.ping(), client.ping(), server.ping()]);
  });

  it('sends what was written before it is closed, and ends the streams', async () => {
    const { client, server, streams } = pair();
    const stream = client.open(NAMED);
    const other = await eventually('it is opened', () => streams[0]);
    const taken = bytesOf(stream.input);
    for (let count = 0; count < 10; count += 1) await other.write(CHUNK);
    const closed = server.close();
    assert.equal((await taken).length, 10 * CHUNK.length);
    client.destroy();
    await closed;
    assert.ok(server.signal.aborted);
  });

  it('ends every stream when the connection is lost, and leaves no wait behind', async () => {
    const { client, streams } = pair();
    const stream = client.open(NAMED);
    const other = await eventually('it is opened', () => streams[0]);
    const reading = bytesOf(other.input);
    const writing = (async () => {
      for (;;) await other.write(CHUNK);
    })();
    client.destroy();
    await Promise.all(
      [reading, writing, bytesOf(stream.input)].map((one) => assert.rejects(one, isCancelled)),
    );
    await assert.rejects(client.ping(), isCancelled);
    assert.throws(() => client.open(NAMED), isCancelled);
  });

  it('lets a stream that is not read wait, and the others go on', async () => {
    const { client, streams } = pair();
    const slow = client.open(NAMED);
    const quick = client.open(NAMED);
    let sent = 0;
    const writing = (async () => {
      for (;;) {
        await slow.write(CHUNK);
        sent += CHUNK.length;
      }
    })();
    writing.catch(() => undefined);
    const [, other] = await eventually('they are opened', () => (streams.length === 2 ? streams : undefined));
    assert.ok(other);
    const taken = bytesOf(other.input);
    for (let count = 0; count < 200; count += 1) await quick.write(CHUNK);
    quick.end();
    assert.equal((await taken).length, 200 * CHUNK.length);
    assert.ok(sent <= 256 * 1024, `${sent} bytes were sent on a stream that nobody reads`);
    // Once it is read it goes on.
    const before = sent;
    const iterator = streams[0]?.input[Symbol.asyncIterator]();
    while (sent < before + 1024 * 1024) await iterator?.next();
    client.destroy();
  });

  it('keeps to the windows that a peer announces', async () => {
    const peer = new RawPeer();
    peer.send({ kind: 'settings', values: new Map([[7, 1_000]]) });
    peer.open(1);
    const stream = await peer.stream();
    const got = (): number =>
      peer.received.reduce((sum, frame) => sum + (frame.kind === 'data' ? frame.bytes.length : 0), 0);
    const writing = stream.write(CHUNK);
    writing.catch(() => undefined);
    await eventually('the window is used', () => (got() === 1_000 ? true : undefined));
    for (let count = 0; count < 20; count += 1) await turn();
    assert.equal(got(), 1_000);
    peer.send({ kind: 'window-update', streamId: 1, delta: 500 });
    await eventually('the wider window is used', () => (got() === 1_500 ? true : undefined));
    // The window of the session is 64 KiB from the start.
    peer.send({ kind: 'window-update', streamId: 1, delta: 1 << 20 });
    await writing;
    void stream.write(Buffer.alloc(100_000)).catch(() => undefined);
    await eventually('the window of the session is used', () => (got() === 65_536 ? true : undefined));
    peer.send({ kind: 'window-update', streamId: 0, delta: 1 << 20 });
    await eventually('all is sent', () => (got() === CHUNK.length + 100_000 ? true : undefined));
    peer.socket.destroy();
  });

  it('sends to a peer that knows no windows what that reads', async () => {
    const peer = new RawPeer();
    peer.open(1);
    const stream = await peer.stream();
    for (let count = 0; count < 40; count += 1) await stream.write(CHUNK);
    peer.socket.pause();
    let sent = 0;
    const writing = (async () => {
      for (; sent < 400; sent += 1) await stream.write(CHUNK);
    })();
    writing.catch(() => undefined);
    for (let count = 0; count < 50; count += 1) await turn();
    assert.ok(sent < 20, `${sent} pieces were sent to a peer that does not read`);
    peer.socket.resume();
    await writing;
    peer.socket.destroy();
  });

  it('tells a peer that is known to have no windows of none', async () => {
    for (const [options, expected] of [
      [{}, true],
      [{ windowed: false }, false],
    ] as const) {
      const peer = new RawPeer(options);
      peer.open(1);
      const { input } = await peer.stream();
      for (let count = 0; count < 32; count += 1) peer.data(1, CHUNK, count === 31);
      assert.equal((await bytesOf(input)).length, 32 * CHUNK.length);
      for (let count = 0; count < 10; count += 1) await turn();
      assert.equal(
        peer.received.some(({ kind }) => kind === 'window-update'),
        expected,
      );
      peer.socket.destroy();
    }
  });

  it('reads no more than 4 MiB ahead from a peer that keeps to no windows', async () => {
    const peer = new RawPeer();
    peer.open(1);
    let sent = 0;
    while (peer.data(1, CHUNK) || sent < 1_000) {
      sent += 1;
      if (sent > 2_000) break;
      if (peer.socket.writableNeedDrain) {
        const drained = await Promise.race([once(peer.socket, 'drain').then(() => true), turns(50)]);
        if (drained !== true) break;
      }
    }
    assert.ok(sent * CHUNK.length < 6 * 1024 * 1024, `${sent} pieces were taken`);
    const stream = await peer.stream();
    const iterator = stream.input[Symbol.asyncIterator]();
    for (let count = 0; count < sent; count += 1) await iterator.next();
    peer.socket.destroy();
  });

  it('refuses the 1,001st stream at a time', async () => {
    const peer = new RawPeer();
    for (let count = 0; count < 1_001; count += 1) peer.open(2 * count + 1);
    assert.deepEqual(await peer.answer('rst-stream'), { kind: 'rst-stream', streamId: 2_001, status: 3 });
    assert.equal(peer.session.size, 1_000);
    peer.socket.destroy();
  });

  it('leaves everybody else a turn while a peer has many frames, and handles them all in order', async () => {
    const peer = new RawPeer();
    const encoder = new FrameEncoder();
    const openings = Array.from({ length: 900 }, (_, index) =>
      encoder.encode({
        kind: 'syn-stream',
        streamId: 2 * index + 1,
        fin: false,
        unidirectional: false,
        headers: NAMED,
      }),
    );
    peer.socket.write(Buffer.concat(openings));
    let most = 0;
    for (let known = 0, turns = 0; known < openings.length && turns < 1_000; turns += 1) {
      await turn();
      most = Math.max(most, peer.streams.length - known);
      known = peer.streams.length;
    }
    assert.ok(most <= 64, `${most} in one turn`);
    assert.deepEqual(
      peer.streams.map(({ id }) => id),
      openings.map((_, index) => 2 * index + 1),
    );
    peer.socket.destroy();
  });

  it('resets a stream on which data come after its end, and one that was never opened', async () => {
    const peer = new RawPeer();
    peer.open(1);
    peer.data(1, CHUNK, true);
    peer.data(1, CHUNK);
    assert.deepEqual(await peer.answer('rst-stream'), { kind: 'rst-stream', streamId: 1, status: 9 });
    peer.received.length = 0;
    peer.data(99, CHUNK);
    assert.deepEqual(await peer.answer('rst-stream'), { kind: 'rst-stream', streamId: 99, status: 2 });
    peer.socket.destroy();
  });

  for (const [what, break_] of [
    ['opens a stream of our parity', (peer: RawPeer) => peer.open(2)],
    ['opens a stream again', (peer: RawPeer) => [3, 3].forEach((id) => peer.open(id))],
    [
      'speaks something else',
      (peer: RawPeer) => void peer.socket.write(Buffer.from('8002000600000004', 'hex')),
    ],
    [
      'widens the window of the session past all bounds',
      (peer: RawPeer) =>
        [1, 2].forEach(() => peer.send({ kind: 'window-update', streamId: 0, delta: 0x7fff_ffff })),
    ],
  ] as const) {
    it(`gives up a peer that ${what}`, async () => {
      const peer = new RawPeer();
      peer.open(1);
      const stream = await peer.stream();
      break_(peer);
      assert.equal((await peer.answer('go-away')).status, 1);
      await assert.rejects(bytesOf(stream.input), isCancelled);
      peer.socket.destroy();
      await eventually('the session is over', () => (peer.session.signal.aborted ? true : undefined));
    });
  }

  it('does not buffer answers for a peer that asks and does not read', async () => {
    const peer = new RawPeer();
    peer.socket.pause();
    const pings = Buffer.concat(
      Array.from({ length: 10_000 }, (_, index) =>
        new FrameEncoder().encode({ kind: 'ping', id: 2 * index + 1 }),
      ),
    );
    let sent = 0;
    for (; sent < 100; sent += 1) {
      if (!peer.socket.write(pings)) {
        const drained = await Promise.race([once(peer.socket, 'drain').then(() => true), turns(50)]);
        if (drained !== true) break;
      }
    }
    assert.ok(sent < 30, `${sent * 10_000} pings were taken`);
    peer.socket.destroy();
  });
});

async function turns(count: number): Promise<undefined> {
  for (let index = 0; index < count; index += 1) await turn();
  return undefined;
}
