import { Readable, Writable } from 'node:stream';
import { runCommand } from '../../../src/cli/commands.ts';
import { errorLine, exitCodeOf } from '../../../src/cli/exit.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly stdin?: string;
}

/** Runs `berth` with these arguments as main.ts does, and collects what it prints. */
export async function berth(args: readonly string[], around: Surroundings = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const context = {
    env: around.env ?? {},
    stdout: (text: string) => void (stdout += text),
    stderr: (text: string) => void (stderr += text),
    signal: around.signal ?? new AbortController().signal,
    onInquiry: () => undefined,
    streams: {
      stdin: Readable.from(around.stdin === undefined ? [] : [Buffer.from(around.stdin)]),
      stdout: sink((text) => void (stdout += text)),
      stderr: sink((text) => void (stderr += text)),
    },
  };
  try {
    const code = await runCommand(args, context);
    return { code, stdout, stderr };
  } catch (error) {
    return { code: exitCodeOf(error), stdout, stderr: stderr + errorLine(error) };
  }
}

function sink(take: (text: string) => void): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk.toString());
      done();
    },
  });
}
