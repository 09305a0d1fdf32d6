/** The entry of the pump thread: it brings the output of all containers to their logs, away from the thread that answers kubelet. */
import { parentPort, type Transferable } from 'node:worker_threads';
import { errorToFacts } from '../kernel/threads/errors.ts';
import { BerthError, wrap } from '../lib/errors.ts';
import type { Drained, FromPumpThread, PumpRequest, PumpSpec, ToPumpThread } from './protocol.ts';
import { Pump, PumpBuffers } from './pump.ts';

class PumpThread {
  readonly #pumps = new Map<string, Pump>();
  readonly #buffers = new PumpBuffers();

  async serve({ serial, request }: ToPumpThread): Promise<void> {
    try {
      const value = await this.#handle(request);
      post({ kind: 'done', serial, value }, transferable(value));
    } catch (error) {
      post({ kind: 'failed', serial, error: errorToFacts(error) });
    }
  }

  #handle(request: PumpRequest): Promise<Drained> | undefined {
    switch (request.kind) {
      case 'start':
        this.#start(request.spec);
        return undefined;
      case 'reopen':
        this.#find(request.id).reopen();
        return undefined;
      case 'drain':
        return this.#drain(request);
      case 'stop':
        this.#stop(request.id);
        return undefined;
      case 'stop-all':
        for (const id of [...this.#pumps.keys()]) this.#stop(id);
        return undefined;
      case 'attach':
        this.#find(request.id).attach(request.port, request.wishes);
        return undefined;
    }
  }

  #start(spec: PumpSpec): void {
    const doing = `failed to start output of "${spec.id}"`;
    if (this.#pumps.has(spec.id)) throw new BerthError('ALREADY_EXISTS', `${doing}: it is started already`);
    try {
      const pump = new Pump(spec, this.#buffers, (report) => post({ kind: 'report', report }));
      this.#pumps.set(spec.id, pump);
    } catch (error) {
      throw wrap(doing, error, 'INTERNAL');
    }
  }

  async #drain({ id, limits }: PumpRequest & { kind: 'drain' }): Promise<Drained> {
    const pump = this.#find(id);
    try {
      return await pump.drain(limits);
    } finally {
      if (this.#pumps.get(id) === pump) this.#pumps.delete(id);
    }
  }

  #stop(id: string): void {
    this.#pumps.get(id)?.stop();
    this.#pumps.delete(id);
  }

  #find(id: string): Pump {
    const pump = this.#pumps.get(id);
    if (pump === undefined) throw new BerthError('NOT_FOUND', `output of "${id}" is not started`);
    return pump;
  }
}

function post(message: FromPumpThread, transfer: Transferable[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function transferable(value: Drained | undefined): ArrayBuffer[] {
  const { output } = value ?? {};
  return output === undefined
    ? []
    : [output.stdout, output.stderr].map(({ buffer }) => buffer as ArrayBuffer);
}

function main(): void {
  const thread = new PumpThread();
  parentPort?.on('message', (message: ToPumpThread) => void thread.serve(message));
}

main();
