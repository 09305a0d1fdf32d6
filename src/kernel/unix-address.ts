import { endianness } from 'node:os';
import { AF_UNIX } from './libc.ts';

/** sun_path, with a zero at its end. */
const PATH_BYTES = 108;

/** A sockaddr_un. Throws RangeError for a path that does not fit. */
export function unixAddress(path: string): Uint8Array {
  const bytes = Buffer.from(path);
  if (bytes.length === 0 || bytes.length >= PATH_BYTES || bytes.includes(0)) {
    throw new RangeError(`not the path of a socket: ${JSON.stringify(path)}`);
  }
  const address = Buffer.alloc(2 + PATH_BYTES);
  if (endianness() === 'LE') address.writeUInt16LE(AF_UNIX, 0);
  else address.writeUInt16BE(AF_UNIX, 0);
  address.set(bytes, 2);
  return address;
}
