import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { logInterceptor, UNKNOWN_RPC } from '../../../src/cri/interceptors/log.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import type { Fields, Logger } from '../../../src/lib/log.ts';
import { quietLogger } from '../../fakes/logger.ts';

/** The level and fields of the line that a call leaves. */
async function lineOf(
  method: string,
  request: object,
  answer: () => object,
  { aborted = false } = {},
): Promise<[level: string, fields: Fields]> {
  const lines: [string, Fields][] = [];
  const note =
    (level: string) =>
    (_: string, fields: Fields = {}): void =>
      void lines.push([level, fields]);
  const log: Logger = { ...quietLogger, debug: note('debug'), info: note('info'), warn: note('warn') };
  const signal = aborted ? AbortSignal.abort() : new AbortController().signal;
  const handler = logInterceptor(log)(async () => answer());
  await handler(request, { method, signal, remainingMs: Infinity }).catch(() => undefined);
  await sleep(20);
  const [line] = lines;
  assert.ok(line !== undefined && lines.length === 1);
  return line;
}

const fails = (error: BerthError) => (): never => {
  throw error;
};

describe('the log line of a call', () => {
  it('warns of what the engine does not implement, and not of an RPC that Berth does not have', async () => {
    const ours = new BerthError('UNIMPLEMENTED', 'X is not implemented', { meta: UNKNOWN_RPC });
    const theirs = new BerthError('UNIMPLEMENTED', 'unknown service runtime.v1.RuntimeService');
    assert.equal((await lineOf('X', {}, fails(ours)))[0], 'debug');
    assert.equal((await lineOf('PullImage', {}, fails(theirs)))[0], 'warn');
    assert.equal((await lineOf('PullImage', {}, fails(theirs), { aborted: true }))[0], 'debug');
  });
});
