import { readSysctl, writeSysctl } from '../../kernel/sysctl.ts';
import { doing } from './netns.ts';

/** Lets the host forward for the families of these addresses. */
export function enableForwarding(addresses: readonly string[]): void {
  for (const [present, sysctl] of [
    [addresses.some((address) => !address.includes(':')), 'net/ipv4/ip_forward'],
    [addresses.some((address) => address.includes(':')), 'net/ipv6/conf/all/forwarding'],
  ] as const) {
    if (present) {
      doing('failed to enable forwarding', () => switchOn(sysctl));
    }
  }
}

function switchOn(sysctl: string): void {
  if (readSysctl(sysctl) !== '1') {
    writeSysctl(sysctl, '1');
  }
}
