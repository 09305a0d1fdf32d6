/**
 * Which commands there are, what their names mean and the help of `berth` itself. A command's file is loaded when
 * it runs, so that `berth cni` and `berth version` start fast.
 */
import { nearest } from '../config/nearest.ts';
import type { Command, CommandContext } from './command.ts';
import { Exit, UsageError } from './exit.ts';

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Every command by its words. A summary here is the one that `berth help` shows. */
export const commands: Readonly<Record<string, Entry>> = {
  serve: { summary: 'run the daemon', load: () => import('./serve.ts') },
  'pod run': { summary: 'run a pod sandbox', load: () => import('./pod/run.ts') },
  'pod ps': { summary: 'list pod sandboxes', load: () => import('./pod/ps.ts') },
  'pod inspect': { summary: 'show one pod sandbox', load: () => import('./pod/inspect.ts') },
  'pod stop': { summary: 'stop pod sandboxes', load: () => import('./pod/stop.ts') },
  'pod rm': { summary: 'remove pod sandboxes', load: () => import('./pod/rm.ts') },
  'pod exec': { summary: 'run a command in a container', load: () => import('./pod/exec.ts') },
  'pod attach': { summary: "connect to a container's own streams", load: () => import('./pod/attach.ts') },
  'pod logs': { summary: 'print the log of a container', load: () => import('./pod/logs.ts') },
  'pod port-forward': {
    summary: 'reach ports of a pod from here',
    load: () => import('./pod/port-forward.ts'),
  },
  'net show': {
    summary: 'show the networks and whether they are ready',
    load: () => import('./net/show.ts'),
  },
  'net explain': { summary: 'explain how a pod got its address', load: () => import('./net/explain.ts') },
  'net debts': { summary: 'list, retry or forgive failed CNI DELs', load: () => import('./net/debts.ts') },
  'net gc': {
    summary: 'collect what is left of attachments whose pod is gone',
    load: () => import('./net/gc.ts'),
  },
  'net test': {
    summary: 'try the networks with a throw-away namespace',
    load: () => import('./net/test.ts'),
  },
  version: { summary: 'print the version', load: () => import('./version.ts') },
};

const CNI_SUMMARY = 'be the CNI plugin of that type: configuration on stdin, result on stdout';

/** Runs what the arguments say and returns the exit code. Throws UsageError and what commands throw. */
export async function runCommand(args: readonly string[], context: CommandContext): Promise<number> {
  const [first = '', second = ''] = args;
  if (first === '' || first === 'help' || first === '--help' || first === '-h')
    return help(args.slice(1), context);
  if (first === '--version') return runCommand(['version', ...args.slice(1)], context);
  if (first === 'cni') return cniHelp(second, context);
  if (Object.hasOwn(commands, first)) return execute(first, args.slice(1), context);
  const group = groupOf(first);
  if (group.length === 0) throw new UsageError(`unknown command "${first}"${meant(first, topLevel())}`);
  if (second === '' || second === '--help' || second === '-h')
    return groupHelp(first, second !== '', context);
  if (!group.includes(`${first} ${second}`)) {
    const words = group.map((name) => name.slice(first.length + 1));
    throw new UsageError(`unknown command "${first} ${second}"${meant(second, words)}`);
  }
  return execute(`${first} ${second}`, args.slice(2), context);
}

async function execute(name: string, args: readonly string[], context: CommandContext): Promise<number> {
  const entry = commands[name];
  if (entry === undefined) throw new UsageError(`unknown command "${name}"`);
  const { command } = await entry.load();
  return command.execute(args, context);
}

/** `berth help`, and `berth help pod run`. */
async function help(words: readonly string[], context: CommandContext): Promise<number> {
  const asked = words.filter((word) => !word.startsWith('-'));
  if (asked.length > 0) return runCommand([...asked, '--help'], context);
  context.stdout(overview());
  return Exit.ok;
}

/** A group alone is no command: its help goes to stderr and the exit code says so, unless help was asked for. */
function groupHelp(group: string, asked: boolean, context: CommandContext): number {
  const text = `Usage: berth ${group} COMMAND\n\nCommands:\n${list(groupOf(group))}`;
  if (!asked)
    throw new UsageError(
      `${group} needs a command: ${groupOf(group)
        .map((name) => name.slice(group.length + 1))
        .join(', ')}`,
    );
  context.stdout(text);
  return Exit.ok;
}

/** With a TYPE the plugin itself runs, before this is reached. */
function cniHelp(asked: string, context: CommandContext): number {
  if (asked === '') throw new UsageError('cni needs the TYPE of a plugin (see berth cni --help)');
  context.stdout(
    `Usage: berth cni TYPE\n\nTo ${CNI_SUMMARY}. The environment is the one of the\nCNI specification (CNI_COMMAND and so on). A link to this program named TYPE does the same.

berth cni dhcp daemon keeps the leases of dhcp where no berth serve runs.\n`,
  );
  return Exit.ok;
}

function groupOf(word: string): string[] {
  return Object.keys(commands).filter((name) => name.startsWith(`${word} `));
}

function topLevel(): string[] {
  return [...Object.keys(commands).map((name) => name.split(' ', 1)[0] ?? name), 'cni', 'help'];
}

function meant(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? ' (see berth help)' : ` (did you mean ${near}?)`;
}

function list(names: readonly string[]): string {
  const lines = names.map((name): [string, string] => [name, commands[name]?.summary ?? CNI_SUMMARY]);
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}\n`).join('');
}

function overview(): string {
  return `Usage: berth COMMAND [options]

A CRI runtime for Kubernetes nodes.

Commands:
${list([...Object.keys(commands), 'cni TYPE'])}
berth COMMAND --help shows a command's options.

The socket that commands talk to is, in this order: --address, the [grpc] address of --config, the environment
variable BERTH_ADDRESS, and the address of /etc/berth/config.toml or its default.

Exit codes:
  ${Exit.ok}  done
  ${Exit.failed}  failed; the reason is one line on stderr
  ${Exit.usage}  the command line is wrong
  ${Exit.unreachable}  no daemon answers on the socket
  ${Exit.notFound}  no such pod or debt, or a named file does not exist
berth pod exec returns the exit code of the command that it ran.
`;
}
