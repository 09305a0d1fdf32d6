import { readFileSync } from 'node:fs';
import { execa } from 'execa';

/** Detaches what is mounted below a directory, the last mounted first. */
export async function unmountBelow(directory: string): Promise<void> {
  const targets = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(`${directory}/`));
  for (const target of targets.reverse()) await execa('umount', ['--lazy', target], { reject: false });
}
