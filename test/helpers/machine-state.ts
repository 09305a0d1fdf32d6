import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The tests run in a network namespace of their own: then all that is in it is theirs. */
const isPrivate = process.env['BERTH_PRIVATE_NETWORK'] === '1';

/** Where runtimes and plugins keep their files by default, and where tests keep theirs. */
const directories = ['/var/lib/cni', '/run/cni', '/etc/cni', '/run/berth', '/var/lib/berth', tmpdir()];

/** What tests could leave behind: namespaces, links, mounts, rules, processes and files, each as a line. */
export function machineState(): string[] {
  const network = isPrivate
    ? {
        link: links(),
        nft: nftRules(),
        iptables: iptablesRules('iptables-save'),
        ip6tables: iptablesRules('ip6tables-save'),
      }
    : {};
  const kinds = {
    namespace: entries('/run/netns'),
    ...network,
    mount: mounts(),
    process: processes(),
    file: directories.flatMap(tree),
  };
  return Object.entries(kinds).flatMap(([kind, list]) => list.map((line) => `${kind} ${line}`));
}

/** The lines of one state that another has not, or not as often. */
export function difference(state: readonly string[], other: readonly string[]): string[] {
  const rest = [...other];
  return state.filter((line) => {
    const index = rest.indexOf(line);
    if (index !== -1) rest.splice(index, 1);
    return index === -1;
  });
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Everything below a directory. Of the machine's own temporary directory nothing: others write there too. */
function tree(directory: string): string[] {
  if (directory === '/tmp') return [];
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((name) => !name.startsWith('node-compile-cache'))
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

function output(command: string, args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  return result.status === 0 ? result.stdout : '';
}

function links(): string[] {
  const parsed: unknown = JSON.parse(output('ip', ['-json', 'link', 'show']) || '[]');
  return Array.isArray(parsed) ? parsed.map((link: { ifname?: string }) => link.ifname ?? '') : [];
}

function mounts(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '');
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function nftRules(): string[] {
  return lines(output('nft', ['list', 'ruleset']));
}

function iptablesRules(command: string): string[] {
  return lines(output(command, [])).filter((line) => line.startsWith('-A'));
}

/** Processes in our network namespace or with our temporary directory in their arguments, and not mocha itself. */
function processes(): string[] {
  const own = networkOf('self');
  const ancestors = new Set(ancestorsOf(process.pid));
  const found: string[] = [];
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
    if (ancestors.has(Number(pid))) continue;
    const argv = commandLine(pid);
    if ((isPrivate && networkOf(pid) === own) || (tmpdir() !== '/tmp' && argv.includes(tmpdir())))
      found.push(argv);
  }
  return found;
}

function networkOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** This process and those above it. */
function ancestorsOf(pid: number): number[] {
  const chain: number[] = [];
  for (let at = pid; at > 0; ) {
    chain.push(at);
    const stat = readFileSync(`/proc/${String(at)}/stat`, 'utf8');
    at = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  }
  return chain;
}
