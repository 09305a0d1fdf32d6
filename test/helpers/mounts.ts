import { readFileSync } from 'node:fs';
import { execa } from 'execa';

/** Where something is mounted below a directory, in the order in which it was. */
export function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(`${directory}/`));
}

/** Detaches what is mounted below a directory, the last mounted first. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const target of mountsBelow(directory).reverse())
    await execa('umount', ['--lazy', target], { reject: false });
}

/** Makes directories refuse writes, as those of a file system with errors do; what is returned makes them writable again. */
export async function refuseWrites(directories: readonly string[]): Promise<() => Promise<void>> {
  for (const directory of directories) {
    await execa('mount', ['--bind', directory, directory]);
    await execa('mount', ['-o', 'remount,bind,ro', directory]);
  }
  return async () => {
    // Somebody may have opened a file there.
    await execa('umount', ['--lazy', ...directories]);
  };
}
