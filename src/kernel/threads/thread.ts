import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { BerthError, messageOf } from '../../lib/errors.ts';
import { errorToFacts } from './errors.ts';
import { HANDED_OVER_MOST, type Outcome, Ticket, type WorkerMessage, type WorkerSetup } from './protocol.ts';

/** What a thread tells its pool. */
export interface ThreadEvents {
  /** The running job asks the main thread; the answer is what the promise brings. */
  readonly serve: (name: string, arg: unknown) => Promise<unknown>;
  /** The running job ended; a poisoned thread takes no other. */
  readonly done: (outcome: Outcome, poisoned: boolean) => void;
  /** The thread ended by itself: a bug, or out of memory. */
  readonly died: (error: Error) => void;
}

/**
 * One worker thread, seen from the main thread. It runs one job at a time and may have the next one already; the pool keeps the
 * queue.
 */
export class Thread {
  private readonly worker: Worker;
  private readonly answers: MessagePort;
  private readonly counter: Int32Array;
  private readonly tickets: Int32Array;
  private handedOver = 0;
  private readonly events: ThreadEvents;
  private ended = false;
  private failure: Error | undefined;

  constructor(name: string, modules: readonly URL[], events: ThreadEvents) {
    const channel = new MessageChannel();
    const answered = new SharedArrayBuffer(4);
    const tickets = new SharedArrayBuffer(4 * HANDED_OVER_MOST);
    const setup: WorkerSetup = {
      modules: modules.map((url) => url.href),
      answers: channel.port1,
      answered,
      tickets,
    };
    this.tickets = new Int32Array(tickets);
    this.answers = channel.port2;
    this.counter = new Int32Array(answered);
    this.events = events;
    this.worker = new Worker(new URL('./worker.js', import.meta.url), {
      name,
      workerData: setup,
      transferList: [channel.port1],
    });
    this.worker.on('message', (message: WorkerMessage) => this.receive(message));
    this.worker.on('error', (error) => {
      this.failure = error;
    });
    this.worker.on('exit', () => this.exited());
    this.worker.unref();
  }

  /** Hands a job over, HANDED_OVER_MOST at a time; what is returned drops it, and is true unless it had begun. */
  run(job: string, arg: unknown): () => boolean {
    const ticket = this.handedOver % HANDED_OVER_MOST;
    Atomics.store(this.tickets, ticket, Ticket.waiting);
    this.worker.postMessage({ job, arg, ticket });
    this.handedOver += 1;
    // A busy thread keeps the process alive, an idle one does not.
    this.worker.ref();
    const { tickets } = this;
    return () => Atomics.compareExchange(tickets, ticket, Ticket.waiting, Ticket.dropped) === Ticket.waiting;
  }

  /** Nothing was handed over that has not ended. */
  rest(): void {
    this.worker.unref();
  }

  /** Ends the thread; waits until it is gone. A job that is inside a system call ends first. */
  async end(): Promise<void> {
    this.ended = true;
    await this.worker.terminate();
  }

  private receive(message: WorkerMessage): void {
    switch (message.kind) {
      case 'ready':
        return;
      case 'call':
        void this.answer(message.name, message.arg);
        return;
      case 'done':
        this.events.done(message.outcome, message.poisoned);
        return;
    }
  }

  private async answer(name: string, arg: unknown): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = { value: await this.events.serve(name, arg) };
    } catch (error) {
      outcome = { error: errorToFacts(error) };
    }
    try {
      this.answers.postMessage(outcome);
    } catch (error) {
      // What was served cannot be copied; the job has to be told something or it would wait for ever.
      this.answers.postMessage({ error: errorToFacts(error) } satisfies Outcome);
    }
    Atomics.add(this.counter, 0, 1);
    Atomics.notify(this.counter, 0);
  }

  private exited(): void {
    this.answers.close();
    if (!this.ended) {
      this.ended = true;
      const cause = this.failure === undefined ? 'it exited' : messageOf(this.failure);
      this.events.died(new BerthError('INTERNAL', `worker thread failed: ${cause}`, { cause: this.failure }));
    }
  }
}
