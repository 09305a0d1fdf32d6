import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isSelinuxOn } from '../../../src/kernel/selinux.ts';

describe('SELinux', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-selinux-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('is on where its files are and a policy has given processes a label other than that of the beginning', () => {
    const isOn = (): boolean =>
      isSelinuxOn({ selinuxfs: join(directory, 'selinux'), proc: join(directory, 'proc') });
    write('proc/thread-self/attr/current', 'system_u:system_r:unconfined_service_t:s0\0');
    assert.equal(isOn(), false, 'another security module has such a file, too');
    write('selinux/enforce', '0');
    assert.equal(isOn(), true);
    write('proc/thread-self/attr/current', 'kernel\0');
    assert.equal(isOn(), false, 'no policy is loaded');
  });

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
});
