/**
 * nftables through the nft tool: tables are read as JSON, changes are made as one transaction in nft's own language, in which
 * conditions of a plugin's configuration are written too.
 */
import { BerthError } from '../lib/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../lib/json.ts';
import { runTool } from './tool.ts';

export type NftFamily = 'ip' | 'ip6' | 'inet' | 'bridge';

/** One rule, with what it does in nft's JSON form (libnftables-json(5)). */
export interface NftRule {
  readonly chain: string;
  readonly handle: number;
  /** '' when there is none. */
  readonly comment: string;
  readonly expr: readonly Json[];
}

/** nft keeps at most so many bytes of a comment. */
export const NFT_COMMENT_MAX = 128;

/** A comment as nft reads it. It has no escapes, so quotes and line breaks are dropped, and what is too long is cut. */
export function nftComment(text: string): string {
  const plain = Buffer.from(text.replace(/["\n\r\0]/g, ''));
  return `"${plain
    .subarray(0, NFT_COMMENT_MAX)
    .toString('utf8')
    .replace(/\uFFFD$/, '')}"`;
}

/** Applies all lines or none. Throws FAILED_PRECONDITION with nft's message when it refuses them; see runTool. */
export function nftTransaction(lines: readonly string[]): void {
  const { status, stderr } = runTool('nft', ['-f', '-'], `${lines.join('\n')}\n`);
  if (status !== 0) throw new BerthError('FAILED_PRECONDITION', `nft refused the rules: ${stderr.trim()}`);
}

/** The rules of a table in order; undefined when there is no such table. See runTool. */
export function nftRules(family: NftFamily, table: string): NftRule[] | undefined {
  const { status, stdout, stderr } = runTool('nft', ['-j', 'list', 'table', family, table]);
  if (status === 0) return parseNftRules(stdout);
  if (stderr.includes('No such file or directory')) return undefined;
  throw new BerthError('INTERNAL', `failed to list nftables table "${family} ${table}": ${stderr.trim()}`);
}

/** The rules in what `nft -j list` printed. */
export function parseNftRules(text: string): NftRule[] {
  const parsed: unknown = JSON.parse(text);
  const items = isJsonObject(parsed) ? parsed['nftables'] : undefined;
  if (!Array.isArray(items)) throw new BerthError('INTERNAL', 'nft printed no list of objects');
  return items.flatMap((item) =>
    isJsonObject(item) && isJsonObject(item['rule']) ? parseRule(item['rule']) : [],
  );
}

function parseRule(rule: JsonObject): NftRule[] {
  const { chain, handle, comment, expr } = rule;
  if (typeof chain !== 'string' || typeof handle !== 'number') return [];
  return [
    {
      chain,
      handle,
      comment: typeof comment === 'string' ? comment : '',
      expr: Array.isArray(expr) ? expr : [],
    },
  ];
}

/** True when nft can be used here: it is installed and the kernel lets it list tables. */
export function isNftUsable(): boolean {
  try {
    return runTool('nft', ['list', 'tables']).status === 0;
  } catch {
    return false;
  }
}
