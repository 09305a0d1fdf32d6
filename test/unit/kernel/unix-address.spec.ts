import assert from 'node:assert/strict';
import { unixAddress } from '../../../src/kernel/unix-address.ts';

describe('the address of a unix socket', () => {
  it('is its family and its path, with a zero at the end', () => {
    const address = unixAddress('/run/x.sock');
    assert.equal(address.length, 110);
    assert.deepEqual([...address.subarray(0, 2)].sort(), [0, 1]);
    assert.equal(Buffer.from(address.subarray(2, 14)).toString(), '/run/x.sock\0');
  });

  it('is no path that does not fit', () => {
    for (const path of ['', 'a\0b', `/${'x'.repeat(107)}`])
      assert.throws(() => unixAddress(path), RangeError);
    assert.equal(unixAddress(`/${'x'.repeat(106)}`)[109], 0);
  });
});
