import { open, rename, rm } from 'node:fs/promises';

let serial = 0;

/**
 * Writes a file so that a reader, or a crash, sees the old content or the new one and never a part. With `sync` the
 * content is on disk before the name points to it; the journal keeps the order of names, so the directory is not synced.
 */
export async function writeFileAtomic(
  path: string,
  data: string,
  options: { mode?: number; sync?: boolean } = {},
): Promise<void> {
  serial += 1;
  const temporary = `${path}.${process.pid}-${serial}.tmp`;
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o600);
    try {
      await file.writeFile(data);
      if (options.sync === true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
