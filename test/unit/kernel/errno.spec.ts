import assert from 'node:assert/strict';
import { errnoName, SyscallError } from '../../../src/kernel/errno.ts';
import { setns } from '../../../src/kernel/libc.ts';
import { isErrno } from '../../../src/lib/errors.ts';

describe('errno', () => {
  it('names numbers, also those with twins', () => {
    assert.deepEqual([1, 2, 11, 17, 95, 9999].map(errnoName), [
      'EPERM',
      'ENOENT',
      'EAGAIN',
      'EEXIST',
      'EOPNOTSUPP',
      'E9999',
    ]);
  });

  it('says call, subject, reason, what else the kernel said, and what to look at', () => {
    const error = new SyscallError('RTM_NEWLINK', 95, 'link "eth0"', 'Unknown device type');
    const hint = 'does the kernel have this kind of link?';
    assert.equal(
      error.message,
      `RTM_NEWLINK link "eth0": operation not supported: Unknown device type (${hint})`,
    );
    assert.equal(error.reason, 'operation not supported');
  });

  it('is known to isErrno', () => {
    assert.ok(isErrno(new SyscallError('mount', 16), 'EBUSY'));
  });

  it('becomes a BerthError that never says NOT_FOUND', () => {
    const codes = [1, 28, 2, 22].map(
      (number) => new SyscallError('mount', number, '"/x"').toBerthError('failed to x').code,
    );
    assert.deepEqual(codes, ['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'INTERNAL', 'INTERNAL']);
    const { message, meta } = new SyscallError('mount', 2, '"/x"').toBerthError('failed to mount shm "/x"');
    assert.equal(message, 'failed to mount shm "/x": mount "/x": no such file or directory');
    assert.deepEqual(meta, { syscall: 'mount', errno: 'ENOENT' });
  });

  it('is thrown with the errno of the call that failed', () => {
    assert.throws(() => setns(-1, 0), { name: 'SyscallError', code: 'EBADF', syscall: 'setns' });
  });
});
