import assert from 'node:assert/strict';
import { listMounts, parseMountinfo } from '../../../src/kernel/mounts.ts';

describe('mountinfo', () => {
  it('reads optional fields, of which there may be none or several', () => {
    const [none, two] = parseMountinfo(
      '36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue\n' +
        '37 35 0:4 net:[4026532179] /run/netns/a\\040b rw shared:1 master:2 - nsfs nsfs rw\n',
    );
    assert.deepEqual(none, {
      id: 36,
      parent: 35,
      root: '/mnt1',
      target: '/mnt2',
      options: ['rw', 'noatime'],
      propagation: [],
      type: 'ext3',
      source: '/dev/root',
      superOptions: ['rw', 'errors=continue'],
    });
    assert.equal(two?.target, '/run/netns/a b');
    assert.deepEqual(two.propagation, ['shared:1', 'master:2']);
  });

  it('leaves out lines that do not have the format', () => {
    assert.deepEqual(parseMountinfo('garbage\n\n1 2 3'), []);
  });

  it('lists what is mounted at or below a path, and not beside it', () => {
    const proc = listMounts('/proc');
    assert.ok(proc.some(({ target }) => target === '/proc'));
    assert.ok(proc.every(({ target }) => target === '/proc' || target.startsWith('/proc/')));
  });
});
