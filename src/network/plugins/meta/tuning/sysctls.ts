import { failure } from '../../config.ts';

/**
 * The sysctl that a key names, with slashes. `IFNAME` in it stands for the container's interface. Only those of the network are
 * the namespace's own: any other would be the host's.
 */
export function sysctlName(key: string, ifName: string): string {
  const slashed = key.replaceAll('.', '/').replace('IFNAME', () => ifName);
  const parts = slashed.split('/').filter((part) => part !== '' && part !== '.');
  if (parts[0] !== 'net' || parts.length < 2 || slashed.includes('\0')) {
    throw failure(`invalid net sysctl key: ${JSON.stringify(slashed)}`);
  }
  return parts.join('/');
}
