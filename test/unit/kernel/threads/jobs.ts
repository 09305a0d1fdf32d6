/** Jobs for pool.spec.ts. */
import { threadId } from 'node:worker_threads';
import { sleepSync } from '../../../../src/kernel/sleep.ts';
import { SyscallError } from '../../../../src/kernel/errno.ts';
import { runTool } from '../../../../src/kernel/tool.ts';
import { type Job, poisonThread } from '../../../../src/kernel/threads/job.ts';
import { BerthError } from '../../../../src/lib/errors.ts';

const UNTIL_PARENT_ENDS = 'while kill -0 $PPID 2>/dev/null; do sleep 0.1; done';

const failures: Readonly<Record<string, () => never>> = {
  berth: () => {
    throw new BerthError('NOT_FOUND', 'failed to find it', { meta: { id: 'x' }, cause: new Error('inner') });
  },
  syscall: () => {
    throw new SyscallError('mount', 16, '"/x"', 'busy');
  },
  custom: () => {
    throw Object.assign(new Error('of its own'), {
      name: 'CniError',
      code: 7,
      details: 'some',
      skipped: () => 1,
    });
  },
};

export const jobs: Readonly<Record<string, Job>> = {
  echo: (arg) => arg,
  thread: () => threadId,
  sleep: (ms) => {
    sleepSync(ms as number);
    return threadId;
  },
  fail: (kind) => failures[kind as string]?.(),
  ask: (arg, main) => main.call('answer', arg),
  askTwice: (arg, main) => [main.call('answer', arg), main.call('answer', arg)],
  askAndCatch: (arg, main) => {
    try {
      return main.call('answer', arg);
    } catch (error) {
      return error instanceof BerthError ? `${error.code} ${error.message}` : 'another class';
    }
  },
  poison: () => {
    try {
      poisonThread('cannot go back', new Error('setns'));
    } catch {
      // As careless code might do.
    }
    return threadId;
  },
  exit: () => process.exit(3),
  tool: (ms, main) => {
    main.call('answer', null);
    return runTool('sh', ['-c', UNTIL_PARENT_ENDS], '', ms as number);
  },
  promise: () => Promise.resolve(1),
  uncloneable: () => () => 1,
};
