import { BerthError } from '../../lib/errors.ts';

/** Checks what a client wants of a process's streams. Throws INVALID_ARGUMENT in the words of containerd. */
export function requireStreams(request: {
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}): void {
  const { tty, stdin, stdout, stderr } = request;
  // A terminal has one output.
  if (tty && stderr) throw new BerthError('INVALID_ARGUMENT', 'tty and stderr cannot both be true');
  if (!stdin && !stdout && !stderr)
    throw new BerthError('INVALID_ARGUMENT', 'one of stdin, stdout, or stderr must be set');
}
