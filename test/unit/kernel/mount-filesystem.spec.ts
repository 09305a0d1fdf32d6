import assert from 'node:assert/strict';
import * as libc from '../../../src/kernel/libc.ts';
import { mountFilesystem, parseMountOptions, relativeOverlay } from '../../../src/kernel/mount-filesystem.ts';

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

describe('the options of a mount', () => {
  it('are flags as containerd knows them, the last of two that differ, and what the file system understands', () => {
    const options = [
      'noatime',
      'ro',
      'nodev',
      'sync',
      'dirsync',
      'lazytime',
      'nosuid',
      'suid',
      'rw',
      'discard',
    ];
    assert.deepEqual(parseMountOptions([...options, 'defaults', 'async', 'relatime', 'errors=remount-ro']), {
      flags: libc.MS_NOATIME | libc.MS_NODEV | libc.MS_DIRSYNC | libc.MS_LAZYTIME | libc.MS_RELATIME,
      data: ['discard', 'errors=remount-ro'],
      loop: false,
    });
  });

  it('are not told the kernel when they are for user space, and not taken for properties of every object', () => {
    assert.deepEqual(parseMountOptions(['X-mount.mkdir', 'x-systemd.automount', 'loop', 'constructor']), {
      flags: 0,
      data: ['constructor'],
      loop: true,
    });
  });

  it('or its type are named when they take more than to mount', () => {
    const on = (type: string, options: string[]) => () =>
      mountFilesystem({ type, source: '/image', options }, '/nowhere');
    const code = 'FAILED_PRECONDITION';
    assert.throws(on('mkfs/ext4', []), { code, message: /the type "mkfs\/ext4" of "\/image"/ });
    assert.throws(on('format/overlay', []), { code, message: /"format\/overlay"/ });
    assert.throws(on('fuse3.fuse-overlayfs', []), { code, message: /"fuse3\.fuse-overlayfs"/ });
    for (const option of ['X-containerd.mkdir.path=/x', 'uidmap=0:1:2'])
      assert.throws(on('overlay', [option]), {
        code,
        message: `Berth cannot mount with the option "${option}"`,
      });
  });
});
