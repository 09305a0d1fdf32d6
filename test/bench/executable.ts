import { closeSync, readSync, writeSync } from 'node:fs';
import { pipe, posixSpawn, waitpid } from '../../src/kernel/libc.ts';

const CHUNK = 1 << 16;

/**
 * Runs a program to its end with this on its standard input, and returns its exit code and what it printed; its errors go to ours. It is
 * started as the daemon starts plugins, by posix_spawn: a fork of this process costs more than many a plugin does.
 */
export function runExecutable(
  file: string,
  args: readonly string[],
  { env, input }: { readonly env: Readonly<Record<string, string>>; readonly input: string },
): { readonly exitCode: number; readonly stdout: string } {
  const [stdin, stdout] = [pipe(), pipe()];
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const descriptors = [stdin[0], stdout[1], process.stderr.fd] as const;
  const pid = posixSpawn({ file, args, env: environment, directory: '/', descriptors });
  for (const fd of [stdin[0], stdout[1]]) closeSync(fd);
  // It fits into the pipe.
  writeSync(stdin[1], input);
  closeSync(stdin[1]);
  const output = readAll(stdout[0]);
  closeSync(stdout[0]);
  // Its output is closed: it is about to end.
  for (;;) {
    const status = waitpid(pid);
    if (status !== undefined) return { exitCode: (status >> 8) & 0xff, stdout: output };
  }
}

function readAll(fd: number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(CHUNK);
    const length = readSync(fd, chunk);
    if (length === 0) return Buffer.concat(chunks).toString();
    chunks.push(chunk.subarray(0, length));
  }
}
