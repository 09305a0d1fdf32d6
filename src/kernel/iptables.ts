/**
 * iptables, both families: a table is read whole with iptables-save, and changed in one `iptables-restore --noflush`
 * transaction. A chain that a transaction declares is emptied first, all others keep what they have.
 */
import { BerthError } from '../lib/errors.ts';
import { runTool } from './tool.ts';

export interface SavedRule {
  readonly chain: string;
  /** What follows the chain, unquoted: `-s`, `10.0.0.1/32`, `-j`, `ACCEPT`. */
  readonly words: readonly string[];
}

/** A table as iptables-save prints it. */
export interface SavedTable {
  readonly chains: ReadonlySet<string>;
  readonly rules: readonly SavedRule[];
}

/** How long iptables waits for another one's lock, in seconds. */
const LOCK_WAIT_S = 25;

function tool(family: 4 | 6, suffix: string): string {
  return `${family === 4 ? 'iptables' : 'ip6tables'}-${suffix}`;
}

/** Throws NOT_FOUND when iptables is not installed, UNAVAILABLE when the kernel has no such table. */
export function readTable(family: 4 | 6, table: string): SavedTable {
  const name = tool(family, 'save');
  const { status, stdout, stderr } = runTool(name, ['-t', table]);
  if (status !== 0) throw new BerthError('UNAVAILABLE', `${name} failed: ${stderr.trim()}`);
  return parseSaved(stdout);
}

/** Reads the output of iptables-save for one table. */
export function parseSaved(text: string): SavedTable {
  const chains = new Set<string>();
  const rules: SavedRule[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) chains.add(line.slice(1).split(' ', 1)[0] ?? '');
    if (!line.startsWith('-A ')) continue;
    const [, chain = '', ...words] = splitWords(line);
    rules.push({ chain, words });
  }
  return { chains, rules };
}

/** Splits a line into words as iptables does: double quotes hold a word together, a backslash keeps the next character. */
export function splitWords(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|[^\s"]+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word));
}

/** One line of a transaction from its words. Throws INVALID_ARGUMENT on a line break, which would begin another command. */
export function ruleLine(command: '-A' | '-D' | '-I', chain: string, words: readonly string[]): string {
  return [command, chain, ...words].map(quoted).join(' ');
}

function quoted(word: string): string {
  if (/[\n\r\0]/.test(word)) {
    throw new BerthError(
      'INVALID_ARGUMENT',
      `failed to write an iptables rule: line break in ${JSON.stringify(word)}`,
    );
  }
  return /^[\w./:,!=[\]%+@-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`;
}

/** True when the table has the rule, word by word as iptables-save writes it. */
export function hasRule(table: SavedTable, chain: string, words: readonly string[]): boolean {
  return table.rules.some((rule) => rule.chain === chain && sameWords(rule.words, words));
}

export function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index]);
}

/** Applies all lines to a table or none. Throws FAILED_PRECONDITION with the tool's message when it refuses them. */
export function restoreTable(family: 4 | 6, table: string, lines: readonly string[]): void {
  const name = tool(family, 'restore');
  const input = `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
  const { status, stderr } = runTool(name, ['--noflush', `--wait=${LOCK_WAIT_S}`], input);
  if (status !== 0)
    throw new BerthError('FAILED_PRECONDITION', `${name} refused the rules: ${stderr.trim()}`);
}

/** True when iptables can be used here for this family: it is installed and the kernel has its tables. */
export function isIptablesUsable(family: 4 | 6): boolean {
  try {
    readTable(family, 'nat');
    return true;
  } catch {
    return false;
  }
}
