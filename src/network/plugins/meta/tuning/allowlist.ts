import { readFileSync } from 'node:fs';
import { isErrno, messageOf } from '../../../../lib/errors.ts';
import { failure } from '../../config.ts';

const ALLOWLIST = '/etc/cni/tuning/allowlist.conf';

/**
 * The node's administrator may confine the sysctls that networks set: one regular expression per line, of which one must match the
 * key as it is configured. Without the file all are allowed.
 */
export function refuseForbidden(keys: readonly string[], path = ALLOWLIST): void {
  const lines = readLines(path);
  if (lines === undefined) return;
  const allowed = lines.map(expression);
  for (const key of keys) {
    if (allowed.some((each) => each.test(key))) continue;
    throw failure(
      `Sysctl ${key} is not allowed. Only the following sysctls are allowed: [${lines.join(' ')}]`,
    );
  }
}

function readLines(path: string): string[] | undefined {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function expression(line: string): RegExp {
  try {
    return new RegExp(line);
  } catch (error) {
    throw failure(`${ALLOWLIST}: ${messageOf(error)}`);
  }
}
