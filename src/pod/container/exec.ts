import { raceSignal } from '../../lib/deadline.ts';
import { wrap } from '../../lib/errors.ts';
import type { Attachment } from '../../stdio/attach.ts';
import type { FifoPaths } from '../../stdio/fifos.ts';
import type { CommandStreams, TerminalSize } from '../../streaming/runtime.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineExec, EngineExit } from '../engine/engine.ts';
import type { Container } from './container.ts';
import { requireRunning } from './require-running.ts';

/** After the end of the process, how long a child of it that holds its output may keep the client. */
const DRAIN = { quietMs: 2_000 };

/**
 * Runs a command in a running container with a client's streams (CRI Exec), and returns its exit code once its output was taken.
 * When the signal aborts, the client is gone and the process is killed.
 */
export async function exec(
  deps: PodDeps,
  container: Container,
  command: { readonly cmd: readonly string[]; readonly tty: boolean },
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<number> {
  const { engine, pumps, executions } = deps.containers;
  const { cmd, tty } = command;
  requireRunning(container);
  const { stdin, stdout = discard, stderr = discard } = streams;
  const start = new Start();
  try {
    const spec = processSpec(await engine.process(container.id, { signal }), cmd, tty);
    const execution = {
      spec,
      stdin: stdin !== undefined,
      // Before it starts, so that the client misses nothing. Its stdin waits: a FIFO keeps only what somebody has open.
      listen: async (id: string, fifos: FifoPaths): Promise<Attachment> => {
        const started = pumps.start({ ...fifos, id, terminal: tty, stdinOnce: true });
        const attached = pumps.attach(
          id,
          {
            stdout,
            ...(tty ? {} : { stderr }),
            ...(stdin === undefined ? {} : { stdin: start.thenAll(stdin) }),
          },
          { signal, slow: 'wait', outlivesStdin: true, closeStdin: () => start.process?.closeStdin() },
        );
        return (await Promise.all([attached, started]))[0];
      },
    };
    return await executions.run(container.id, execution, async (process, { ended }, id) => {
      start.done(process);
      follow(streams.sizes, (size) => process.resize(size));
      const { exitCode } = await endOf(process, ended, signal);
      await raceSignal(pumps.drain(id, DRAIN), signal);
      await ended;
      return exitCode;
    });
  } catch (error) {
    throw wrap('failed to exec in container', error);
  } finally {
    start.over();
  }
}

/** The start of the process, which what the client sends has to wait for. */
class Start {
  process: EngineExec | undefined;
  #over: () => void = () => undefined;
  readonly #isOver = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  done(process: EngineExec): void {
    this.process = process;
    this.#over();
  }

  /** It has started, or will not. */
  over(): void {
    this.#over();
  }

  async *thenAll(stdin: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#isOver;
    if (this.process !== undefined) yield* stdin;
  }
}

type ProcessSpec = Awaited<ReturnType<PodDeps['containers']['engine']['process']>>;

function processSpec(own: ProcessSpec, cmd: readonly string[], terminal: boolean): ProcessSpec {
  const env = terminal ? [...own.env.filter((one) => !one.startsWith('TERM=')), 'TERM=xterm'] : own.env;
  return { ...own, args: [...cmd], terminal, env };
}

/** Waits for the end of the process, or for a client that is gone or can take no more. */
function endOf(process: EngineExec, client: Promise<void>, signal: AbortSignal): Promise<EngineExit> {
  // The client's session ends by itself only with the output, which is not over before the process.
  const failed = client.then(() => new Promise<never>(() => undefined));
  return raceSignal(Promise.race([process.ended, failed]), signal);
}

/** Applies each size of the client's terminal. One that cannot be set is no reason to end anything. */
export function follow(
  sizes: AsyncIterable<TerminalSize> | undefined,
  resize: (size: TerminalSize) => Promise<void>,
): void {
  if (sizes === undefined) return;
  const each = async (): Promise<void> => {
    for await (const size of sizes) await resize(size).catch(() => undefined);
  };
  each().catch(() => undefined);
}

/** For an output that the client did not ask for: somebody has to read it, or the process would wait. */
function discard(): void {
  // Nothing is done with it.
}
