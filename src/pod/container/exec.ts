import { wrap } from '../../lib/errors.ts';
import { DirectStreams } from '../../stdio/direct.ts';
import type { FifoPaths } from '../../stdio/fifos.ts';
import type { CommandStreams, TerminalSize } from '../../streaming/runtime.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { requireRunning } from './require-running.ts';

/** After the end of the process, how long a child of it that holds its output may keep the client. */
const QUIET_MS = 2_000;

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
  const { engine, executions } = deps.containers;
  const { cmd, tty } = command;
  requireRunning(container);
  const { stdin, stdout = discard, stderr = discard, sizes } = streams;
  try {
    const execution = {
      spec: processSpec(await engine.process(container.id, { signal }), cmd, tty),
      stdin: stdin !== undefined,
      listen: async (_id: string, fifos: FifoPaths) =>
        new DirectStreams(fifos, { stdout, stderr, stdin, signal }, executions.buffer),
    };
    return await executions.run(container.id, execution, async (process, client) => {
      // Not before: a FIFO keeps only what somebody has open.
      client.carryStdin(tty ? undefined : () => process.closeStdin());
      follow(sizes, (size) => process.resize(size));
      const { exitCode } = await Promise.race([process.ended, client.failed]);
      await client.drain(QUIET_MS);
      return exitCode;
    });
  } catch (error) {
    throw wrap('failed to exec in container', error);
  }
}

type ProcessSpec = Awaited<ReturnType<PodDeps['containers']['engine']['process']>>;

function processSpec(own: ProcessSpec, cmd: readonly string[], terminal: boolean): ProcessSpec {
  const env = terminal ? [...own.env.filter((one) => !one.startsWith('TERM=')), 'TERM=xterm'] : own.env;
  return { ...own, args: [...cmd], terminal, env };
}

/**
 * Applies the size of the client's terminal as it changes; of those that come while one is being set, the last. One that cannot be set is
 * no reason to end anything.
 */
export function follow(
  sizes: AsyncIterable<TerminalSize> | undefined,
  resize: (size: TerminalSize) => Promise<void>,
): void {
  if (sizes === undefined) return;
  let next: TerminalSize | undefined;
  let setting = false;
  const set = async (): Promise<void> => {
    setting = true;
    for (let size = next; size !== undefined; size = next) {
      next = undefined;
      await resize(size).catch(() => undefined);
    }
    setting = false;
  };
  const each = async (): Promise<void> => {
    for await (const size of sizes) {
      next = size;
      if (!setting) void set();
    }
  };
  each().catch(() => undefined);
}

/** For an output that the client did not ask for: somebody has to read it, or the process would wait. */
function discard(): void {
  // Nothing is done with it.
}
