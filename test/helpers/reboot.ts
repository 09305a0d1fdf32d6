import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { mountsBelow } from './mounts.ts';

/** Another boot id in the records, and nothing of /run: no namespace, no mount, no state directory. */
export async function pretendReboot(directory: string, ids: readonly string[]): Promise<void> {
  await execa('umount', mountsBelow(directory));
  await execa('rm', ['-r', join(directory, 'state'), join(directory, 'netns')]);
  for (const id of ids) {
    const path = join(directory, `root/sandboxes/${id}.jsonl`);
    const record = await readFile(path, 'utf8');
    await writeFile(
      path,
      record.replace(/"bootId":"[^"]+"/, '"bootId":"00000000-0000-0000-0000-000000000000"'),
    );
  }
}
