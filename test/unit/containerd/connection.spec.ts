import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { fromGrpc } from '../../../src/containerd/grpc-error.ts';
import { BerthError } from '../../../src/lib/errors.ts';

function refusal(code: number, details: string): Error {
  return Object.assign(new Error(`${code} ${details}`), { code, details });
}

describe('an error of containerd', () => {
  const address = '/run/c.sock';

  it('keeps its code and its own text', () => {
    const error = fromGrpc(refusal(status.NOT_FOUND, 'no running task found'), { address });
    assert.ok(error instanceof BerthError);
    assert.deepEqual([error.code, error.message], ['NOT_FOUND', 'no running task found']);
  });

  it('takes the nearest code where there is none of its own', () => {
    const codes = [status.ABORTED, status.OUT_OF_RANGE, status.DATA_LOSS, status.UNAUTHENTICATED, status.OK];
    assert.deepEqual(
      codes.map((code) => fromGrpc(refusal(code, 'x'), { address }).code),
      ['FAILED_PRECONDITION', 'INVALID_ARGUMENT', 'INTERNAL', 'PERMISSION_DENIED', 'UNKNOWN'],
    );
    assert.equal(fromGrpc(refusal(99, 'x'), { address }).code, 'UNKNOWN');
    assert.equal(fromGrpc(new Error('no status'), { address }).code, 'INTERNAL');
  });

  it('names the socket when nobody answers there', () => {
    const grpcJs =
      'No connection established. Last error: Error: connect ENOENT /run/c.sock. Resolution note: none';
    assert.equal(
      fromGrpc(refusal(status.UNAVAILABLE, grpcJs), { address }).message,
      'containerd at "/run/c.sock" is unavailable: connect ENOENT /run/c.sock',
    );
    assert.equal(
      fromGrpc(refusal(status.UNAVAILABLE, 'Connection dropped'), { address }).message,
      'containerd at "/run/c.sock" is unavailable: Connection dropped',
    );
  });

  it('is the reason of the signal that ended the call', () => {
    const late = new BerthError('DEADLINE_EXCEEDED', 'too late');
    const cancelled = refusal(status.CANCELLED, 'Cancelled on client');
    assert.equal(fromGrpc(cancelled, { address, signal: AbortSignal.abort(late) }), late);
    const other = fromGrpc(cancelled, { address, signal: AbortSignal.abort(new Error('bored')) });
    assert.deepEqual([other.code, other.message], ['CANCELLED', 'bored']);
    assert.equal(
      fromGrpc(cancelled, { address, signal: new AbortController().signal }).message,
      'Cancelled on client',
    );
  });

  it('is the deadline where containerd was the first to see it pass, and cancelled the call', () => {
    const cancelled = refusal(status.CANCELLED, 'Call cancelled');
    const codeOf = (deadline: number): string => fromGrpc(cancelled, { address, deadline }).code;
    assert.equal(codeOf(Date.now()), 'DEADLINE_EXCEEDED');
    assert.equal(codeOf(Date.now() + 60_000), 'CANCELLED');
    const missing = refusal(status.NOT_FOUND, 'x');
    assert.equal(fromGrpc(missing, { address, deadline: 0 }).code, 'NOT_FOUND');
  });
});
