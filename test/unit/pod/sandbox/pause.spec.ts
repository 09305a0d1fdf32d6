import assert from 'node:assert/strict';
import { identify } from '../../../../src/containerd/embedded/process.ts';
import { pausePidNamespace } from '../../../../src/pod/sandbox/pause.ts';
import { newState, type SandboxState } from '../../../../src/pod/sandbox/record.ts';

describe('the pid namespace of a pause process', () => {
  const of = (state: Partial<SandboxState>): string =>
    pausePidNamespace({ id: 'abc', state: { ...newState, ...state } });
  const ended = { code: 'FAILED_PRECONDITION', message: 'the pause process of sandbox "abc" has ended' };
  const { pid } = process;

  it('is named by its pid as long as that is its own', () => {
    const { startTime = '' } = identify(pid) ?? {};
    assert.equal(of({ pausePid: pid, pauseStartTime: startTime }), `/proc/${pid}/ns/pid`);
    assert.throws(() => of({ pausePid: pid, pauseStartTime: `${startTime}0` }), ended);
  });

  it('is none of a process that is not there, or has ended at once', () => {
    assert.throws(() => of({}), ended);
    assert.throws(() => of({ pausePid: pid, pauseStartTime: '' }), ended);
  });
});
