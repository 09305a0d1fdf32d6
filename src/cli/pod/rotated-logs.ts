import { Buffer } from 'node:buffer';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isErrno } from '../../lib/errors.ts';

/** What kubelet adds to a log's name: when it was rotated; later, with the next rotation, that it is compressed. */
const ROTATED = /^\.\d{8}-\d{6}(?:\.gz)?$/;
const COMPRESSED = '.gz';

/** The paths of a log's rotated files, the oldest first; of a compressed one what it was called before. */
export async function rotatedLogs(path: string): Promise<string[]> {
  const log = basename(path);
  const names = await readdir(dirname(path)).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  const suffixes = names
    .filter((name) => name.startsWith(log) && ROTATED.test(name.slice(log.length)))
    .map((name) => name.slice(log.length).replace(COMPRESSED, ''));
  return [...new Set(suffixes)].sort().map((suffix) => `${path}${suffix}`);
}

/** What is in a rotated file, be it compressed by now or not; undefined when it is gone. */
export async function readRotated(path: string): Promise<Readable | undefined> {
  const plain = await openIfThere(path);
  if (plain !== undefined) return plain.createReadStream();
  const compressed = await openIfThere(`${path}${COMPRESSED}`);
  // Whoever reads is told of what fails.
  return compressed && pipeline(compressed.createReadStream(), createGunzip(), () => undefined);
}

/** Whether a rotated file, compressed or not, begins so: no two do, since each line has its time. */
export async function rotatedBegins(path: string, head: Buffer): Promise<boolean> {
  const content = await readRotated(path);
  if (content === undefined) return false;
  let text = Buffer.alloc(0);
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      text = Buffer.concat([text, chunk]);
      if (text.length >= head.length) break;
    }
  } catch {
    return false;
  }
  return text.subarray(0, head.length).equals(head);
}

export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
