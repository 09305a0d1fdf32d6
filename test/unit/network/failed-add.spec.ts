import assert from 'node:assert/strict';
import { FailedPlugin } from '../../../src/network/cni/chain.ts';
import type { DelFailure } from '../../../src/network/cni/del.ts';
import { CniCode } from '../../../src/network/cni/types.ts';
import { type FailedAdd, failedAdd, NEVER_BEGUN, owes } from '../../../src/network/failed-add.ts';
import { BerthError } from '../../../src/lib/errors.ts';

function del(index: number, { code = 0, reason = 'no luck' } = {}): DelFailure {
  const error = `plugin type="shaky" failed (delete): ${reason}`;
  return { index, type: 'shaky', error, code, reason, isReleased: false };
}

describe('a DEL that fails after an ADD that failed', () => {
  const refused: FailedAdd = {
    index: 1,
    ran: true,
    code: CniCode.DecodeFailure,
    reason: 'invalid snat: must be true or false',
  };

  it('is owed by what has run, and when nothing is known of the ADD', () => {
    assert.equal(owes(del(0), undefined), true);
    assert.equal(owes(del(0), refused), true);
    assert.equal(owes(del(1), { ...refused, code: 0, reason: 'no luck' }), true);
  });

  it('is not owed by what was not called, or is not there', () => {
    assert.equal(owes(del(2), refused), false);
    assert.equal(owes(del(0), NEVER_BEGUN), false);
    const heldUp = failedAdd(new FailedPlugin(new BerthError('DEADLINE_EXCEEDED', 'no turn'), -1, undefined));
    assert.equal(owes(del(0), heldUp), false);
    assert.equal(owes(del(1), { ...refused, ran: false }), false);
  });

  it('is not owed by what refuses the configuration as it did before, and only by that', () => {
    const { code, reason } = refused;
    assert.equal(owes(del(1, { code, reason }), refused), false);
    assert.equal(owes(del(1, { code, reason: 'invalid result' }), refused), true);
    assert.equal(owes(del(1, { code: CniCode.InvalidNetworkConfig, reason }), refused), true);
  });

  it('is not owed by what delegates to a plugin that was not there then, and is not now', () => {
    const reason = 'failed to find plugin "hostlocal" in path [/opt/cni/bin]';
    const add: FailedAdd = { ...refused, code: CniCode.Internal, reason };
    assert.equal(owes(del(1, { code: CniCode.Internal, reason }), add), false);
    // It is by another failure that the ADD ended: the delegate may have run.
    assert.equal(owes(del(1, { code: CniCode.Internal, reason }), { ...add, reason: 'no luck' }), true);
  });

  it('is judged by the failure of a plugin alone', () => {
    assert.equal(failedAdd(new Error('no plugin')), undefined);
    assert.equal(failedAdd(new BerthError('CANCELLED', 'given up')), undefined);
    const meta = { provider: '' };
    const cause = new Error('not found');
    const error = new BerthError('UNAVAILABLE', 'in many words', { cause, meta });
    const expected = { index: 1, ran: false, code: 0, reason: 'not found', prevResult: undefined };
    assert.deepEqual(failedAdd(new FailedPlugin(error, 1, undefined)), expected);
  });
});
