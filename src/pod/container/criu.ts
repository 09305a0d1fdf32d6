/** CRIU, which the OCI runtime calls to write and to restore checkpoints. */
import { readFile } from 'node:fs/promises';
import { BerthError, codeOf, isErrno, messageOf, wrap } from '../../lib/errors.ts';

const VERSION_MS = 10_000;
/** How much of CRIU's log an error tells. */
const LOG_LINES = 3;

/** Throws FAILED_PRECONDITION when it is not installed. */
export async function checkCriu(signal: AbortSignal): Promise<void> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const { execa } = await import('execa');
  try {
    await execa('criu', ['--version'], {
      env: { PATH: path },
      timeout: VERSION_MS,
      cancelSignal: signal,
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new BerthError('FAILED_PRECONDITION', 'criu is not installed on this node', { cause: error });
    throw wrap('failed to run criu', error, 'FAILED_PRECONDITION');
  }
}

/** The OCI runtime says where CRIU's log is; that goes with the attempt, so its errors are told. */
export async function withLogOfCriu(error: unknown, file: string): Promise<unknown> {
  const log = await readFile(file, 'utf8').catch(() => '');
  // It grumbles in one that has succeeded, too.
  if (/(Dumping|Restore) finished successfully/.test(log)) return error;
  const errors = log.split('\n').filter((line) => /\bError\b/.test(line));
  if (errors.length === 0) return error;
  const said = errors.slice(-LOG_LINES).join('; ').slice(0, 1_000);
  return new BerthError(codeOf(error), `${messageOf(error)} (criu: ${said})`, { cause: error });
}
