import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

export const main = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

export interface Exited {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `berth` as a process of its own, with an environment of its own. */
export async function berth(
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly program?: string;
    readonly input?: string;
  } = {},
): Promise<Exited> {
  const { program = main, env = {}, input = '' } = options;
  const child = await execa(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    timeout: 30_000,
    input,
  });
  return { code: child.exitCode, stdout: child.stdout, stderr: child.stderr };
}
