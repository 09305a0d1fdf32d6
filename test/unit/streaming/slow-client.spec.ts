import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ExecRequest, StreamingRuntime } from '../../../src/streaming/runtime.ts';
import { FrameDecoder, FrameEncoder } from '../../../src/streaming/spdy/codec.ts';
import { Serving } from '../../helpers/streaming/serving.ts';
import { upgradeToSpdy } from '../../helpers/streaming/spdy.ts';

const EXEC: ExecRequest = {
  kind: 'exec',
  containerId: 'c',
  cmd: ['cmd'],
  tty: false,
  stdin: false,
  stdout: true,
  stderr: false,
};
const V4 = 'v4.channel.k8s.io';
/** Room for it is in the kernel's buffers: the command ends long before the client has read it. */
const BYTES = 1024 * 1024;
const LINGER_MS = 150;
/** Much longer than that. */
const READS_NOTHING_MS = 1_000;
const PINGS_EVERY_MS = 40;

/** What a client has of the command in the end. */
interface Got {
  readonly bytes: number;
  readonly status: string;
}

/** Says something all the time and reads nothing; resolves when it is time to read. */
async function talkOnly(ping: () => void): Promise<void> {
  const pinging = setInterval(ping, PINGS_EVERY_MS);
  await sleep(READS_NOTHING_MS);
  clearInterval(pinging);
}

async function overSpdy(url: string): Promise<Got> {
  const { socket } = await upgradeToSpdy(url, [V4]);
  socket.pause();
  const encoder = new FrameEncoder();
  for (const [streamId, type] of [
    [1, 'error'],
    [3, 'stdout'],
  ] as const) {
    const headers = new Map([['streamtype', type]]);
    socket.write(
      encoder.encode({ kind: 'syn-stream', streamId, fin: false, unidirectional: false, headers }),
    );
  }
  let id = 1;
  await talkOnly(() => socket.write(encoder.encode({ kind: 'ping', id: (id += 2) })));
  const decoder = new FrameDecoder();
  const got = { bytes: 0, status: '' };
  for await (const chunk of socket) {
    for (const frame of decoder.push(chunk as Buffer)) {
      if (frame.kind !== 'data') continue;
      if (frame.streamId === 3) got.bytes += frame.bytes.length;
      else got.status += Buffer.from(frame.bytes).toString();
    }
  }
  return got;
}

async function overWebSocket(url: string): Promise<Got> {
  const webSocket = new WebSocket(url, [V4]);
  const got = { bytes: 0, status: '' };
  webSocket.on('message', (data: Buffer) => {
    if (data[0] === 1) got.bytes += data.length - 1;
    if (data[0] === 3) got.status += data.subarray(1).toString();
  });
  await once(webSocket, 'open');
  webSocket.pause();
  await talkOnly(() => webSocket.ping());
  const closed = once(webSocket, 'close');
  webSocket.resume();
  await closed;
  return got;
}

describe('a client that reads slowly, and talks', () => {
  const serving = new Serving();

  afterEach(() => serving.end());

  for (const [transport, run] of [
    ['SPDY', overSpdy],
    ['WebSocket', overWebSocket],
  ] as const) {
    it(`has all of a command's output and its outcome over ${transport}`, async () => {
      let hasEnded = false;
      const exec: StreamingRuntime['exec'] = async (_request, { stdout }) => {
        await stdout?.(Buffer.alloc(BYTES));
        hasEnded = true;
        return 0;
      };
      const server = await serving.serve({ exec }, { lingerMs: LINGER_MS });
      const reading = run(server.urlFor(EXEC).replace(/^http/, transport === 'SPDY' ? 'http' : 'ws'));
      await sleep(READS_NOTHING_MS / 2);
      assert.ok(hasEnded, 'the command waits for the client: it is to be over before');
      const { bytes, status } = await reading;
      assert.equal(bytes, BYTES);
      assert.match(status, /"status":"Success"/);
    });
  }
});
