import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { procfs } from './procfs.ts';

/** Values are short; the longest, such as net.ipv4.tcp_available_congestion_control, have some hundred bytes. */
const LONGEST_VALUE = 4096;

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
  return withSysctl(name, constants.O_RDONLY, (fd) => {
    const buffer = Buffer.allocUnsafe(LONGEST_VALUE);
    return buffer.toString('latin1', 0, readSync(fd, buffer)).replace(/\n$/, '');
  });
}

/** Sets a value in the calling thread's namespaces; never creates a file. */
export function writeSysctl(name: string, value: string): void {
  withSysctl(name, constants.O_WRONLY, (fd) => writeSync(fd, value));
}

function withSysctl<T>(name: string, flags: number, action: (fd: number) => T): T {
  const fd = openSysctl(sysctlPath(name), flags);
  try {
    return action(fd);
  } finally {
    closeSync(fd);
  }
}

function openSysctl(path: string, flags: number): number {
  try {
    return openSync(
      path.replace('/proc', () => procfs()),
      flags,
    );
  } catch {
    // For an error that names the path that everybody knows.
    return openSync(path, flags);
  }
}
