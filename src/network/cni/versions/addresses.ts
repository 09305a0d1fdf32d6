import { isIP, SocketAddress } from 'node:net';

/** The canonical text of an IP address, or undefined when it is none. Zones (`%eth0`) are refused. */
export function canonicalIp(text: string): string | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) return undefined;
  return family === 4 ? text : new SocketAddress({ address: text, family: 'ipv6' }).address;
}

/** The canonical text of `address/prefix` with its host bits kept, or undefined when it is none. */
export function canonicalCidr(text: string): string | undefined {
  const [, address = '', length = ''] = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const ip = canonicalIp(address);
  if (ip === undefined || Number(length) > (isIP(ip) === 4 ? 32 : 128)) return undefined;
  return `${ip}/${length}`;
}

/** 4 or 6, from an address with or without prefix length that has been checked before. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
