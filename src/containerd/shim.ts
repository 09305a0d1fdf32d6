import { deadlineSignal, raceSignal } from '../lib/deadline.ts';
import { loadContainerd } from './api.ts';
import { CALL_MS, type Method } from './connection.ts';
import type { ShimEndpoint } from './shim-endpoint.ts';
import type { Exit, NewProcess, Processes, ProcessRef } from './tasks.ts';
import { fromTimestamp } from './timestamp.ts';
import { TtrpcClient, type TtrpcOptions } from './ttrpc.ts';
import { runtimeSpecAny } from './typeurl.ts';

/** One shim, asked itself: that takes no containerd. */
export class Shim implements Processes {
  readonly #client: TtrpcClient;
  readonly #rpc;

  private constructor(client: TtrpcClient, version: number) {
    const { v2, v3 } = loadContainerd().task;
    this.#client = client;
    this.#rpc = version >= 3 ? v3.Task.service : v2.Task.service;
  }

  /** Rejects with the socket's own error. */
  static async connect({ path, version }: ShimEndpoint, options?: TtrpcOptions): Promise<Shim> {
    return new Shim(await TtrpcClient.connect(path, options), version);
  }

  /** Whether the connection has ended: by the shim's end, or as nothing was asked for a while. */
  get isClosed(): boolean {
    return this.#client.isClosed;
  }

  async exec(process: Required<ProcessRef>, { spec, io }: NewProcess): Promise<void> {
    const request = { ...refOf(process), ...io, spec: runtimeSpecAny('Process', spec) };
    await this.#call(this.#rpc.Exec, request);
  }

  async start(process: ProcessRef): Promise<number> {
    const { pid } = await this.#call(this.#rpc.Start, refOf(process));
    return pid;
  }

  async wait(process: ProcessRef): Promise<Exit> {
    const { exitStatus, exitedAt } = await this.#client.call(this.#rpc.Wait, refOf(process));
    return { exitStatus, exitedAt: fromTimestamp(exitedAt) };
  }

  async kill(process: ProcessRef, signal: number, { all = false }: { all?: boolean } = {}): Promise<void> {
    await this.#call(this.#rpc.Kill, { ...refOf(process), signal, all });
  }

  async delete(process: ProcessRef): Promise<Exit & { pid: number }> {
    const { pid, exitStatus, exitedAt } = await this.#call(this.#rpc.Delete, refOf(process));
    return { pid, exitStatus, exitedAt: fromTimestamp(exitedAt) };
  }

  async resize(
    process: ProcessRef,
    size: { readonly width: number; readonly height: number },
  ): Promise<void> {
    await this.#call(this.#rpc.ResizePty, { ...refOf(process), ...size });
  }

  async closeStdin(process: ProcessRef): Promise<void> {
    await this.#call(this.#rpc.CloseIO, { ...refOf(process), stdin: true });
  }

  /** Not while something is being started: a shim kills the runc that it has running for a caller that goes away. */
  close(): void {
    this.#client.close();
  }

  /** It is given as long as a call to containerd. One that takes longer goes on. */
  async #call<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    using deadline = deadlineSignal(`${method.path} of a shim`, CALL_MS);
    return await raceSignal(this.#client.call(method, request), deadline.signal);
  }
}

function refOf({ containerId, execId = '' }: ProcessRef): { id: string; execId: string } {
  return { id: containerId, execId };
}
