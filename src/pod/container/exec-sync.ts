import { deadlineSignal, raceSignal } from '../../lib/deadline.ts';
import { BerthError, wrap } from '../../lib/errors.ts';
import { EXEC_OUTPUT_BYTES } from '../../stdio/exec-output.ts';
import type { FifoPaths } from '../../stdio/fifos.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineExec, EngineExit } from '../engine/engine.ts';
import type { Container } from './container.ts';

/** A child of the executed process that holds its output does not keep the answer for longer. */
const DRAIN = { quietMs: 500, timeoutMs: 10_000 };

export interface ExecResult {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitCode: number;
}

/**
 * Runs a command in a running container and collects its output, 16 MiB of each stream (CRI ExecSync). With a timeout
 * of seconds above 0 the process is killed when it passes, and the error is DEADLINE_EXCEEDED.
 */
export async function execSync(
  deps: PodDeps,
  container: Container,
  command: { readonly cmd: readonly string[]; readonly timeoutSeconds: number },
  signal: AbortSignal,
): Promise<ExecResult> {
  const { engine, pumps, executions } = deps.containers;
  if (container.state.phase !== 'running') {
    throw new BerthError(
      'FAILED_PRECONDITION',
      `container "${container.id}" is ${container.state.phase}, not running`,
    );
  }
  try {
    const own = await engine.process(container.id, { signal });
    const execution = {
      spec: { ...own, args: [...command.cmd], terminal: false },
      stdin: false,
      listen: async (id: string, fifos: FifoPaths) => {
        await pumps.start({ ...fifos, id, terminal: false, collectBytes: EXEC_OUTPUT_BYTES });
        return { drain: () => pumps.drain(id, DRAIN), close: () => pumps.stop(id) };
      },
    };
    return await executions.run(container.id, execution, async (process, output) => {
      const { exitCode } = await endOf(process, command, signal);
      const { output: collected } = await output.drain();
      const empty = Buffer.alloc(0);
      return { stdout: collected?.stdout ?? empty, stderr: collected?.stderr ?? empty, exitCode };
    });
  } catch (error) {
    throw wrap(`failed to exec in container "${container.id}"`, error);
  }
}

/** Waits for the end; throws when it does not come in time, or the client is gone. */
async function endOf(
  { ended }: EngineExec,
  { cmd, timeoutSeconds }: { readonly cmd: readonly string[]; readonly timeoutSeconds: number },
  signal: AbortSignal,
): Promise<EngineExit> {
  using deadline =
    timeoutSeconds > 0
      ? deadlineSignal(`command ${JSON.stringify(cmd).slice(0, 200)}`, timeoutSeconds * 1_000, signal)
      : { signal, [Symbol.dispose]: () => undefined };
  return await raceSignal(ended, deadline.signal);
}
