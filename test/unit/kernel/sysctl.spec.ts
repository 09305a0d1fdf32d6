import assert from 'node:assert/strict';
import { readSysctl, sysctlPath, writeSysctl } from '../../../src/kernel/sysctl.ts';

describe('sysctl', () => {
  it('takes the first separator as the one that separates', () => {
    assert.equal(sysctlPath('net.ipv4.ip_forward'), '/proc/sys/net/ipv4/ip_forward');
    assert.equal(sysctlPath('net/ipv4/ip_forward'), '/proc/sys/net/ipv4/ip_forward');
    assert.equal(sysctlPath('net.ipv4.conf.eth0/1.arp_notify'), '/proc/sys/net/ipv4/conf/eth0.1/arp_notify');
    assert.equal(sysctlPath('net/ipv4/conf/eth0.1/arp_notify'), '/proc/sys/net/ipv4/conf/eth0.1/arp_notify');
  });

  it('refuses names that would leave /proc/sys', () => {
    for (const bad of [
      '',
      '/etc/passwd',
      '../etc',
      'net/../../x',
      'net..x',
      'net/./x',
      'net.ipv4.',
      'a\0b',
    ]) {
      assert.throws(() => sysctlPath(bad), RangeError, bad);
    }
  });

  it('reads a value without its newline', () => {
    assert.match(readSysctl('kernel.ostype'), /^Linux$/);
  });

  it('creates nothing when there is no such sysctl', () => {
    assert.throws(() => writeSysctl('net.ipv4.no_such_thing', '1'), { code: 'ENOENT' });
  });
});
