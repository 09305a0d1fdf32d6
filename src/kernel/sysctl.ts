import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * Where a sysctl lives. The first separator decides, as in sysctl(8): in `net.ipv4.conf.eth0/1.arp_notify` dots separate and the
 * slash stands for the dot of interface `eth0.1`; in `net/ipv4/conf/eth0.1/arp_notify` slashes separate.
 *
 * Throws RangeError for a name that would leave /proc/sys.
 */
export function sysctlPath(name: string): string {
  const dot = name.indexOf('.');
  const slash = name.indexOf('/');
  const dotted = dot >= 0 && (slash < 0 || dot < slash);
  const parts = dotted ? name.split('.').map((part) => part.replaceAll('/', '.')) : name.split('/');
  if (name.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new RangeError(`not a sysctl name: ${JSON.stringify(name)}`);
  }
  return `/proc/sys/${parts.join('/')}`;
}

/** The value without its newline, as the calling thread's namespaces have it. Synchronous for that reason. */
export function readSysctl(name: string): string {
  return readFileSync(sysctlPath(name), 'latin1').replace(/\n$/, '');
}

/** Sets a value in the calling thread's namespaces; never creates a file. */
export function writeSysctl(name: string, value: string): void {
  const fd = openSync(sysctlPath(name), constants.O_WRONLY);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}
