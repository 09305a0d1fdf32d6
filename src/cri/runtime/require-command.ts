import { invalid } from '../../lib/errors.ts';
import { program, text } from '../../oci/fields.ts';

/** Checks what is to be executed. Throws INVALID_ARGUMENT naming the field. */
export function requireCommand(cmd: readonly string[]): void {
  const [first] = cmd;
  if (first === undefined) throw invalid('cmd', 'must not be empty');
  program('cmd[0]', first);
  cmd.forEach((word, i) => text(`cmd[${i}]`, word));
}
