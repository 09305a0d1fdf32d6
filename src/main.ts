#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The entry: argv to command. The only place that touches signals and process.exit.
 *
 * What is young is kept in little room: the daemon makes little at a time, and takes 12 MB less from the node so.
 */
import { basename } from 'node:path';
import type { CommandContext } from './cli/command.ts';
import { runCommand } from './cli/commands.ts';
import { errorLine, Exit, exitCodeOf } from './cli/exit.ts';

/** What this program is called when it is itself and not a link named after a CNI plugin. */
const OWN_NAME = /^(berth|main\.js)/;

async function main(): Promise<number> {
  const invokedAs = basename(process.argv[1] ?? '');
  const args = process.argv.slice(2);
  if (!OWN_NAME.test(invokedAs)) return runPlugin(invokedAs, args);
  const [, type] = args;
  if (args[0] === 'cni' && type !== undefined && !type.startsWith('-')) return runPlugin(type, args.slice(2));
  return runCommand(args, commandContext());
}

function commandContext(): CommandContext {
  return {
    env: process.env,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    signal: signalOfTermination(),
    onInquiry: (tell) => void process.on('SIGUSR1', tell),
    streams: process,
  };
}

/**
 * As a plugin we are synchronous and short-lived: signals keep their default meaning. Only dhcp has a daemon, which the
 * protocol, having no arguments, leaves room for.
 */
async function runPlugin(type: string, args: readonly string[]): Promise<number> {
  if (type === 'dhcp' && args[0] === 'daemon') {
    const { command } = await import('./cli/dhcp-daemon.ts');
    return command.execute(args.slice(1), commandContext());
  }
  const { runCniCommand } = await import('./cli/cni.ts');
  return runCniCommand(type);
}

/** Aborts on the first SIGTERM or SIGINT; the second one ends the process at once. */
function signalOfTermination(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) void end(Exit.failed);
      controller.abort(new Error(`interrupted by ${name}`));
    });
  }
  return controller.signal;
}

// Without a listener Node would open its debugger, through which whoever is on the machine would be root.
process.on('SIGUSR1', () => undefined);

/** What the process ends with when a reader goes away. */
let outcome: number = Exit.ok;

/** A daemon goes on without readers, and does not wait for them when it ends. */
function isDaemon(): boolean {
  const [first, second, third] = process.argv.slice(2);
  return OWN_NAME.test(basename(process.argv[1] ?? ''))
    ? first === 'serve' || (first === 'cni' && second === 'dhcp' && third === 'daemon')
    : first === 'daemon';
}

/** Node waits for its threads, and a daemon's may be waiting for a tool or inside the kernel: it ends without them. */
async function end(code: number): Promise<void> {
  if (isDaemon()) {
    const { exitProcess } = await import('./kernel/libc.ts');
    exitProcess(code);
  }
  process.exit(code);
}

/** Not before the output is out: a pipe takes it when its reader has the time. When it cannot be written the handler below ends us. */
function leave(code: number): void {
  outcome = code;
  process.stdout.write('', (error) => {
    if (error instanceof Error) return;
    if (isDaemon()) void end(code);
    else process.stderr.write('', () => void end(code));
  });
}

// A reader that has seen enough, such as head(1), is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(outcome);
  process.stderr.write(errorLine(new Error(`failed to write the output: ${error.message}`)));
  process.exit(Exit.failed);
});

// Nor is it on stderr. A log line that nobody can take is lost; the daemon goes on.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && !isDaemon()) process.exit(outcome);
});

main().then(leave, (error: unknown) => {
  outcome = exitCodeOf(error);
  process.stderr.write(errorLine(error));
  leave(outcome);
});
