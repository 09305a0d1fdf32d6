/** The entry of a worker thread: loads the jobs modules, then runs one job after the other. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorToFacts, factsToError } from './errors.ts';
import { isThreadPoisoned, type Job, type JobsModule, type MainCaller } from './job.ts';
import { type Outcome, type RunMessage, Ticket, type WorkerMessage, type WorkerSetup } from './protocol.ts';

class BlockingCaller implements MainCaller {
  private readonly setup: WorkerSetup;
  private readonly counter: Int32Array;

  constructor(setup: WorkerSetup) {
    this.setup = setup;
    this.counter = new Int32Array(setup.answered);
  }

  call(name: string, arg: unknown): unknown {
    const before = Atomics.load(this.counter, 0);
    post({ kind: 'call', name, arg });
    let received = receiveMessageOnPort(this.setup.answers);
    while (received === undefined) {
      Atomics.wait(this.counter, 0, before);
      received = receiveMessageOnPort(this.setup.answers);
    }
    const outcome = received.message as Outcome;
    if ('error' in outcome) {
      throw factsToError(outcome.error);
    }
    return outcome.value;
  }
}

function post(message: WorkerMessage): void {
  if (parentPort === null) {
    throw new Error('not a worker thread');
  }
  parentPort.postMessage(message);
}

async function main(setup: WorkerSetup): Promise<void> {
  const modules = await Promise.all(setup.modules.map(async (url) => (await import(url)) as JobsModule));
  const jobs = new Map<string, Job>(modules.flatMap((module) => Object.entries(module.jobs)));
  const caller = new BlockingCaller(setup);
  const tickets = new Int32Array(setup.tickets);
  parentPort?.on('message', (message: RunMessage) => {
    // What was handed to a poisoned thread goes to the one that takes its place.
    if (isThreadPoisoned()) return;
    const was = Atomics.compareExchange(tickets, message.ticket, Ticket.waiting, Ticket.begun);
    if (was === Ticket.waiting) run(jobs, caller, message);
    else post({ kind: 'done', outcome: { value: undefined }, poisoned: false });
  });
  post({ kind: 'ready' });
}

function run(jobs: ReadonlyMap<string, Job>, caller: MainCaller, message: RunMessage): void {
  try {
    post({ kind: 'done', outcome: { value: runJob(jobs, caller, message) }, poisoned: isThreadPoisoned() });
  } catch (error) {
    // Also of what the job returned, when it cannot be copied.
    post({ kind: 'done', outcome: { error: errorToFacts(error) }, poisoned: isThreadPoisoned() });
  }
}

function runJob(jobs: ReadonlyMap<string, Job>, caller: MainCaller, { job: name, arg }: RunMessage): unknown {
  const job = jobs.get(name);
  if (job === undefined) {
    throw new Error(`no job named "${name}"`);
  }
  const value = job(arg, caller);
  if (value instanceof Promise) {
    throw new TypeError(`job "${name}" returned a Promise: jobs are synchronous`);
  }
  return value;
}

await main(workerData as WorkerSetup);
