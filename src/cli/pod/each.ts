import type { CommandContext } from '../command.ts';
import { errorLine, Exit, exitCodeOf } from '../exit.ts';

/**
 * Does something for every argument, one after the other, past those that fail: each failure is a line on stderr,
 * each success prints the id. Returns the exit code of the first failure.
 */
export async function each(
  given: readonly string[],
  act: (argument: string) => Promise<string>,
  context: CommandContext,
): Promise<number> {
  let code: number = Exit.ok;
  for (const argument of given) {
    try {
      context.stdout(`${await act(argument)}\n`);
    } catch (error) {
      context.stderr(errorLine(error));
      if (code === Exit.ok) code = exitCodeOf(error);
    }
    if (context.signal.aborted) break;
  }
  return code;
}
