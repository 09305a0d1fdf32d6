import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { umount2 } from '../../../src/kernel/libc.ts';
import { mountFilesystem } from '../../../src/kernel/mount-filesystem.ts';
import { eventually } from '../../helpers/fixture.ts';
import { unmountBelow } from '../../helpers/mounts.ts';

/** What containerd's blockfile and erofs snapshotters give. */
describe('a file system in a file', () => {
  let directory: string;
  let image: string;
  let target: string;
  before(function () {
    if (!existsSync('/dev/loop-control')) this.skip();
  });
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-mount-'));
    image = join(directory, 'image');
    target = join(directory, 'target');
    mkdirSync(target);
    await execa('mkfs.ext4', ['-q', image, '4M']);
  });
  afterEach(async () => {
    await unmountBelow(directory);
    rmSync(directory, { recursive: true });
  });

  const loops = async (): Promise<string> => (await execa('losetup', ['-j', image])).stdout;

  it('is mounted by a loop device, which ends with the mount', async () => {
    const what = { type: 'ext4', source: image, options: ['loop', 'noatime', 'X-mount.note'] };
    mountFilesystem(what, target);
    writeFileSync(join(target, 'file'), 'content');
    assert.match(await loops(), /^\/dev\/loop\d+: /);
    umount2(target, 0);
    await eventually('the device is free', async () => (await loops()) === '' || undefined);
    mountFilesystem(what, target, { readonly: true });
    assert.equal(readFileSync(join(target, 'file'), 'utf8'), 'content');
    assert.throws(() => writeFileSync(join(target, 'file'), ''), { code: 'EROFS' });
    const line = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .find((mount) => mount.includes(target));
    assert.match(line ?? '', / ext4 ro,noatime/);
  });

  it('leaves no device when it is none', async () => {
    writeFileSync(image, Buffer.alloc(1 << 20));
    assert.throws(() => mountFilesystem({ type: 'ext4', source: image, options: ['loop'] }, target), {
      code: 'EINVAL',
    });
    await eventually('the device is free', async () => (await loops()) === '' || undefined);
  });
});
