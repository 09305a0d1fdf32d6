import { isIP, isIPv4 } from 'node:net';
import { AF_INET, AF_INET6 } from '../libc.ts';

/** An address with the length of its network's prefix, as bytes. */
export interface IpPrefix {
  readonly bytes: Buffer;
  readonly length: number;
}

/** AF_INET or AF_INET6 by the number of bytes. */
export function familyOf(bytes: Uint8Array): number {
  return bytes.length === 4 ? AF_INET : AF_INET6;
}

/** Address text to 4 or 16 bytes in network order. Throws RangeError for anything else, zones included. */
export function parseIp(text: string): Buffer {
  if (isIP(text) === 0 || text.includes('%')) {
    throw new RangeError(`not an IP address: ${JSON.stringify(text)}`);
  }
  return isIPv4(text) ? Buffer.from(text.split('.').map(Number)) : parseIpv6(text);
}

function parseIpv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const first = groupsOf(head);
  const last = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  const bytes = Buffer.alloc(16);
  [...first, ...zeros, ...last].forEach((group, index) => bytes.writeUInt16BE(group, index * 2));
  return bytes;
}

function groupsOf(text: string): number[] {
  return text
    .split(':')
    .filter((part) => part !== '')
    .flatMap((part) => {
      if (!part.includes('.')) {
        return [Number.parseInt(part, 16)];
      }
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      return [a * 256 + b, c * 256 + d];
    });
}

/** Canonical text: dotted, or as RFC 5952 says; an IPv4-mapped one keeps its dots. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) {
    return bytes.join('.');
  }
  const view = Buffer.from(bytes);
  const groups = Array.from({ length: 8 }, (_, index) => view.readUInt16BE(index * 2));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${view.subarray(12).join('.')}`;
  }
  const text = groups.map((group) => group.toString(16));
  const run = longestZeroRun(groups);
  if (run.length < 2) {
    return text.join(':');
  }
  return `${text.slice(0, run.start).join(':')}::${text.slice(run.start + run.length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) {
      start = index + 1;
    } else if (index + 1 - start > best.length) {
      best = { start, length: index + 1 - start };
    }
  });
  return best;
}

/** `10.88.0.5/16` to bytes; host bits are kept. Throws RangeError for anything else. */
export function parsePrefix(text: string): IpPrefix {
  const slash = text.lastIndexOf('/');
  const length = text.slice(slash + 1);
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (slash < 0 || !/^\d{1,3}$/.test(length) || Number(length) > bytes.length * 8) {
    throw new RangeError(`not an address with a prefix length: ${JSON.stringify(text)}`);
  }
  return { bytes, length: Number(length) };
}
