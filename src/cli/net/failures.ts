import type { JsonObject } from '../../lib/json.ts';
import type { CommandContext } from '../command.ts';
import { errorLine, Exit } from '../exit.ts';
import { stringOf } from './fields.ts';

/** One line on stderr for each network that failed, whatever the table says; returns the exit code. */
export function reportFailures(networks: readonly JsonObject[], context: CommandContext): number {
  const failed = networks.filter((network) => network['error'] !== undefined);
  for (const { network, error } of failed)
    context.stderr(errorLine(new Error(`network "${stringOf(network)}": ${stringOf(error)}`)));
  return failed.length === 0 ? Exit.ok : Exit.failed;
}
