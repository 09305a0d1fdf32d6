import assert from 'node:assert/strict';
import { relativeOverlay } from '../../../src/kernel/mount-filesystem.ts';

describe('the options of an overlay', () => {
  it('are shortened to paths below the directory that all of them have in common', () => {
    assert.deepEqual(
      relativeOverlay([
        'index=off',
        'workdir=/var/s/10/work',
        'upperdir=/var/s/10/fs',
        'lowerdir=/var/s/9/fs:/var/s/1/fs',
      ]),
      {
        directory: '/var/s',
        options: ['index=off', 'workdir=10/work', 'upperdir=10/fs', 'lowerdir=9/fs:1/fs'],
      },
    );
  });

  it('keep their meaning when nothing is common', () => {
    assert.deepEqual(relativeOverlay(['lowerdir=/a/1/fs:/b/2/fs']), {
      directory: '/',
      options: ['lowerdir=a/1/fs:b/2/fs'],
    });
    assert.deepEqual(relativeOverlay(['lowerdir=/a/1:/a/12/fs']), {
      directory: '/a',
      options: ['lowerdir=1:12/fs'],
    });
  });
});
