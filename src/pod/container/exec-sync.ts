import { constants } from 'node:os';
import { deadlineSignal, raceSignal } from '../../lib/deadline.ts';
import { BerthError, wrap } from '../../lib/errors.ts';
import { newId } from '../../lib/id.ts';
import { Rollback } from '../../lib/rollback.ts';
import { createFifos, removeFifos } from '../../stdio/fifos.ts';
import { EXEC_OUTPUT_BYTES } from '../../stdio/exec-output.ts';
import type { PodDeps } from '../deps.ts';
import type { EngineExec, EngineExit } from '../engine/engine.ts';
import type { Container } from './container.ts';
import { engineIo, ioDirectory } from './start.ts';

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
  const { engine, pumps } = deps.containers;
  if (container.state.phase !== 'running') {
    throw new BerthError(
      'FAILED_PRECONDITION',
      `container "${container.id}" is ${container.state.phase}, not running`,
    );
  }
  const execId = newId();
  const cleanup = new Rollback();
  try {
    const spec = {
      ...(await engine.process(container.id, { signal })),
      args: [...command.cmd],
      terminal: false,
    };
    const fifos = createFifos(ioDirectory(deps), execId, { stdin: false, terminal: false });
    cleanup.add('fifos', () => removeFifos(ioDirectory(deps), execId));
    const { stdout, stderr = '' } = fifos;
    await pumps.start({ id: execId, stdout, stderr, terminal: false, collectBytes: EXEC_OUTPUT_BYTES });
    cleanup.add('pump', () => pumps.stop(execId));
    const exec = await engine.exec(container.id, execId, { spec, io: engineIo(fifos, false) }, { signal });
    cleanup.add('exec', () => exec.forget());
    const exit = await endOf(exec, command, signal);
    const { output } = await pumps.drain(execId, DRAIN);
    const empty = Buffer.alloc(0);
    return { stdout: output?.stdout ?? empty, stderr: output?.stderr ?? empty, exitCode: exit.exitCode };
  } catch (error) {
    throw wrap(`failed to exec in container "${container.id}"`, error);
  } finally {
    await cleanup.run();
  }
}

/** Waits for the end, and kills what does not end in time, or whose client is gone. */
async function endOf(
  exec: EngineExec,
  { cmd, timeoutSeconds }: { readonly cmd: readonly string[]; readonly timeoutSeconds: number },
  signal: AbortSignal,
): Promise<EngineExit> {
  using deadline =
    timeoutSeconds > 0
      ? deadlineSignal(`command ${JSON.stringify(cmd).slice(0, 200)}`, timeoutSeconds * 1_000, signal)
      : { signal, [Symbol.dispose]: () => undefined };
  try {
    return await raceSignal(exec.ended, deadline.signal);
  } catch (error) {
    await exec.kill(constants.signals.SIGKILL);
    await exec.ended.catch(() => undefined);
    throw error;
  }
}
