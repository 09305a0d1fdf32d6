import { readFile, writeFile } from 'node:fs/promises';
import { hostname as nodeHostname } from 'node:os';
import { join } from 'node:path';
import type { DNSConfig__Output } from '../../gen/runtime/v1/DNSConfig.ts';
import { isErrno } from '../../lib/errors.ts';

/** resolv.conf of a pod: from dns_config; the node's own when that is absent or empty. */
export async function resolvConf(dns: DNSConfig__Output | null): Promise<string> {
  const lines = [
    ...(dns !== null && dns.searches.length > 0 ? [`search ${dns.searches.join(' ')}`] : []),
    ...(dns?.servers ?? []).map((server) => `nameserver ${server}`),
    ...(dns !== null && dns.options.length > 0 ? [`options ${dns.options.join(' ')}`] : []),
  ];
  return lines.length > 0 ? `${lines.join('\n')}\n` : readIfThere('/etc/resolv.conf');
}

/** Writes what the pod's containers mount: hostname, hosts, resolv.conf. */
export async function writePodFiles(
  directory: string,
  hostname: string,
  dns: DNSConfig__Output | null,
): Promise<void> {
  const [hosts, resolv] = await Promise.all([readIfThere('/etc/hosts'), resolvConf(dns)]);
  const name = `${hostname === '' ? nodeHostname() : hostname}\n`;
  // Containers of any user read these through their mounts; the directory above is 0700.
  const write = (file: string, content: string): Promise<void> =>
    writeFile(join(directory, file), content, { mode: 0o644 });
  await Promise.all([write('hostname', name), write('hosts', hosts), write('resolv.conf', resolv)]);
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
