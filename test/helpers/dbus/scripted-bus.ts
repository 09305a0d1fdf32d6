import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Scratch } from '../fixture.ts';

/** Answers what it receives with the next of the scripted answers, each in its pieces, and closes the connection after the last. */
const code = `
const { createServer } = require('node:net');
const { parentPort, workerData } = require('node:worker_threads');
const server = createServer((socket) => {
  const replies = [...workerData.replies];
  socket.on('error', () => undefined);
  socket.on('data', async (data) => {
    // It comes with the first call, or before it.
    if (data.toString('latin1') === 'BEGIN\\r\\n') return;
    const reply = replies.shift();
    if (reply === undefined) return socket.end();
    for (const piece of reply) {
      socket.write(Buffer.from(piece, 'latin1'));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
});
server.listen(workerData.path, () => parentPort.postMessage('listening'));
`;

/** A socket that says what it is told, on a thread of its own: its client may block the thread of the test. */
export class ScriptedBus implements AsyncDisposable {
  readonly address: string;
  readonly #scratch: Scratch;
  readonly #worker: Worker;

  private constructor(scratch: Scratch, worker: Worker) {
    this.#scratch = scratch;
    this.#worker = worker;
    this.address = `unix:path=${join(scratch.path, 'bus')}`;
  }

  static async start(...replies: (readonly string[])[]): Promise<ScriptedBus> {
    const scratch = await Scratch.create();
    const workerData = { replies, path: join(scratch.path, 'bus') };
    const bus = new ScriptedBus(scratch, new Worker(code, { eval: true, workerData }));
    await once(bus.#worker, 'message');
    return bus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
    await this.#scratch[Symbol.asyncDispose]();
  }
}
