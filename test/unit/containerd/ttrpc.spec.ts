import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadContainerd } from '../../../src/containerd/api.ts';
import { TtrpcClient } from '../../../src/containerd/ttrpc.ts';

const { ttrpc, task } = loadContainerd();
const { Wait } = task.v2.Task.service;
const HEADER_BYTES = 10;

interface Asked {
  readonly id: number;
  readonly service: string;
  readonly method: string;
  readonly container: string;
}

describe('ttrpc', () => {
  let directory: string;
  let server: Server;
  let client: TtrpcClient;
  let peer: Socket;
  let asked: Asked[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-ttrpc-'));
    asked = [];
    const path = join(directory, 'shim.sock');
    server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
    client = await TtrpcClient.connect(path);
    peer = await connected;
    peer.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; ) {
        const end = at + HEADER_BYTES + bytes.readUInt32BE(at);
        assert.deepEqual([...bytes.subarray(at + 8, at + HEADER_BYTES)], [1, 0]);
        const request = ttrpc.Request.deserialize(bytes.subarray(at + HEADER_BYTES, end));
        const { service, method, payload } = request;
        const { id: container } = Wait.requestDeserialize(payload);
        asked.push({ id: bytes.readUInt32BE(at + 4), service, method, container });
        at = end;
      }
    });
  });

  afterEach(async () => {
    client.close();
    peer.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });

  it('asks by service and method, and takes answers in whatever order and pieces they come', async () => {
    const first = client.call(Wait, { id: 'one' });
    const second = client.call(Wait, { id: 'two' });
    await all(2);
    assert.deepEqual(asked, [
      { id: 1, service: 'containerd.task.v2.Task', method: 'Wait', container: 'one' },
      { id: 3, service: 'containerd.task.v2.Task', method: 'Wait', container: 'two' },
    ]);
    const bytes = Buffer.concat([answer(3, 22), answer(7, 0), answer(1, 11)]);
    for (const byte of bytes) {
      peer.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    assert.equal((await first).exitStatus, 11);
    assert.equal((await second).exitStatus, 22);
  });

  it('fails a call with the code and the text of its refusal, and no other', async () => {
    const refused = client.call(Wait, { id: 'one' });
    const answered = client.call(Wait, { id: 'two' });
    await all(2);
    const refusal = ttrpc.Response.serialize({ status: { code: 5, message: 'no such container' } });
    peer.write(Buffer.concat([framed(1, refusal), answer(3, 1)]));
    await assert.rejects(refused, { code: 'NOT_FOUND', message: 'no such container' });
    assert.equal((await answered).exitStatus, 1);
  });

  it('fails what is under way when the other side goes away, and what is asked after that', async () => {
    const call = client.call(Wait, { id: 'one' });
    await all(1);
    peer.destroy();
    await assert.rejects(call, { code: 'UNAVAILABLE' });
    await assert.rejects(client.call(Wait, { id: 'two' }), { code: 'UNAVAILABLE' });
  });

  it('ends with a side that announces more than the protocol allows, or sends what is no message', async () => {
    const large = client.call(Wait, { id: 'one' });
    await all(1);
    const garbled = client.call(Wait, { id: 'two' });
    await all(2);
    peer.write(framed(3, Buffer.from([0xff, 0xff, 0xff])));
    await assert.rejects(garbled);
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(4 * 1024 * 1024 + 1, 0);
    header.writeUInt32BE(1, 4);
    header[8] = 2;
    peer.write(header);
    await assert.rejects(large, { code: 'UNAVAILABLE' });
  });

  it('closes itself when nothing is under way for a while, and not before', async () => {
    const connected = once(server, 'connection') as Promise<[Socket]>;
    let close = (): void => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    const idle = await TtrpcClient.connect(join(directory, 'shim.sock'), { idleMs: 20, onClose: close });
    const [other] = await connected;
    const call = idle.call(Wait, { id: 'one' });
    await sleep(100);
    assert.equal(idle.isClosed, false);
    other.write(answer(1, 3));
    assert.equal((await call).exitStatus, 3);
    await closed;
    assert.equal(idle.isClosed, true);
    await assert.rejects(idle.call(Wait, { id: 'two' }), { code: 'UNAVAILABLE' });
    other.destroy();
  });

  it('says when nobody listens', async () => {
    await assert.rejects(TtrpcClient.connect(join(directory, 'none.sock')), { code: 'ENOENT' });
  });

  async function all(count: number): Promise<void> {
    while (asked.length < count) await new Promise(setImmediate);
  }
});

function answer(id: number, exitStatus: number): Buffer {
  const payload = Wait.responseSerialize({ exitStatus });
  return framed(id, ttrpc.Response.serialize({ payload }));
}

function framed(id: number, data: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(data.length, 0);
  header.writeUInt32BE(id, 4);
  header[8] = 2;
  return Buffer.concat([header, data]);
}
