/** Addresses of buses (D-Bus specification, "Server Addresses"): those of unix sockets, which a system bus has. */
import { type BerthError, invalid } from '../../lib/errors.ts';
import { AF_UNIX } from '../libc.ts';

const VARIABLE = 'DBUS_SYSTEM_BUS_ADDRESS';
/** The specification has the second, which is another directory than the first on few systems. */
const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket';

/** Where the system bus is: DBUS_SYSTEM_BUS_ADDRESS, else where it is on every system. */
export function systemBusAddress(): string {
  return process.env[VARIABLE] || SYSTEM_BUS;
}

/** struct sockaddr_un: the family, and a name of at most 108 bytes, that of a path with its NUL. */
const MAX_NAME = 108;

export interface UnixAddress {
  /** As it was written, for error messages. */
  readonly text: string;
  readonly sockaddr: Buffer;
}

/**
 * The unix sockets of a list such as `unix:path=/run/dbus/system_bus_socket;unix:abstract=x`, in order; other transports are passed
 * over. Throws INVALID_ARGUMENT when there is none, or one that no socket can have.
 */
export function parseBusAddress(list: string): UnixAddress[] {
  const entries = list.split(';').filter((text) => text.startsWith('unix:'));
  const found = entries.flatMap((text) => parseEntry(text, list) ?? []);
  if (found.length === 0) throw badAddress(list, 'has no unix:path= or unix:abstract=');
  return found;
}

function parseEntry(text: string, list: string): UnixAddress | undefined {
  const pairs = text
    .slice('unix:'.length)
    .split(',')
    .map((pair) => pair.split('=', 2));
  const value = (name: string): string | undefined => pairs.find(([key]) => key === name)?.[1];
  const path = value('path');
  const abstract = value('abstract');
  if (path === undefined && abstract === undefined) return undefined;
  const zero = Buffer.alloc(1);
  const name =
    path === undefined
      ? Buffer.concat([zero, unescape(abstract ?? '', list)])
      : Buffer.concat([unescape(path, list), zero]);
  if (name.length < 2 || name.length > MAX_NAME)
    throw badAddress(list, 'has a name that no unix socket can have');
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return { text, sockaddr: Buffer.concat([family, name]) };
}

/** `%2f` stands for a byte. */
function unescape(value: string, list: string): Buffer {
  if (/%(?![0-9a-f]{2})/i.test(value)) throw badAddress(list, 'has a broken escape');
  const bytes = value.split(/(%[0-9a-f]{2})/i).map((part, index) => {
    return index % 2 === 0 ? Buffer.from(part) : Buffer.from(part.slice(1), 'hex');
  });
  return Buffer.concat(bytes);
}

function badAddress(list: string, problem: string): BerthError {
  return invalid(VARIABLE, `${JSON.stringify(list)} ${problem}`);
}
