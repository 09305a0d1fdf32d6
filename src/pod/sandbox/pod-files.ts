/** What a pod's containers mount: hostname, hosts, resolv.conf. Written on a worker thread, so plain synchronous code. */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname as nodeHostname } from 'node:os';
import { join } from 'node:path';
import type { DNSConfig__Output } from '../../gen/runtime/v1/DNSConfig.ts';
import { isErrno } from '../../lib/errors.ts';

/** Containers of any user read these through their mounts; the directory above is 0700. */
const MODE = 0o644;

export function writePodFiles(directory: string, hostname: string, dns: DNSConfig__Output | null): void {
  const files = {
    hostname: `${hostname === '' ? nodeHostname() : hostname}\n`,
    hosts: readIfThere('/etc/hosts'),
    'resolv.conf': resolvConf(dns),
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content, { mode: MODE });
}

/** resolv.conf of a pod: from dns_config; the node's own when that is absent or empty. */
export function resolvConf(dns: DNSConfig__Output | null): string {
  const lines = [
    ...(dns !== null && dns.searches.length > 0 ? [`search ${dns.searches.join(' ')}`] : []),
    ...(dns?.servers ?? []).map((server) => `nameserver ${server}`),
    ...(dns !== null && dns.options.length > 0 ? [`options ${dns.options.join(' ')}`] : []),
  ];
  return lines.length > 0 ? `${lines.join('\n')}\n` : readIfThere('/etc/resolv.conf');
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
