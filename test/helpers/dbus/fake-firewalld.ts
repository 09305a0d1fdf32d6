import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { FirewalldState, Mood } from './firewalld-thread.ts';
import type { TestBus } from './test-bus.ts';

/** firewalld on a bus of the test. What it keeps ends with it, as the real one's does. */
export class FakeFirewalld implements AsyncDisposable {
  readonly #worker: Worker;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(bus: TestBus): Promise<FakeFirewalld> {
    const workerData = { path: bus.path };
    const worker = new Worker(new URL('./firewalld-thread.js', import.meta.url), { workerData });
    await once(worker, 'message');
    return new FakeFirewalld(worker);
  }

  async state(): Promise<FirewalldState> {
    return this.#ask({});
  }

  async become(mood: Mood): Promise<void> {
    await this.#ask({ mood });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask(question: { mood?: Mood }): Promise<FirewalldState> {
    this.#worker.postMessage(question);
    const [state] = (await once(this.#worker, 'message')) as [FirewalldState];
    return state;
  }
}
