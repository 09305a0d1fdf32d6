/**
 * What is in nftables, asked of the kernel itself: for the common question whether there is anything of ours at all, which
 * must not cost a process. Also iptables-nft keeps its chains there, in a table of the family `ip` or `ip6`.
 */
import { readFileSync } from 'node:fs';
import { isErrno } from '../lib/errors.ts';
import { AF_BRIDGE, AF_INET, AF_INET6 } from './libc.ts';
import { decodeAttributes, encodeAttributes } from './netlink/codec.ts';
import { NETLINK_NETFILTER, NFGENMSG_LENGTH, nfHeader, NFNL_SUBSYS_NFTABLES } from './netlink/netfilter.ts';
import { NetlinkSocket, type Request } from './netlink/socket.ts';

const GET_CHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 4;
const GET_RULE = (NFNL_SUBSYS_NFTABLES << 8) | 7;
const CHAIN = { table: [1, 'string'], name: [3, 'string'] } as const;
const RULE = {
  table: [1, 'string'],
  chain: [2, 'string'],
  handle: [3, 'bytes'],
  userData: [7, 'bytes'],
} as const;

/** The families of nftables, by the numbers that netlink knows them by. */
const FAMILIES = { ip: AF_INET, ip6: AF_INET6, inet: 1, bridge: AF_BRIDGE } as const;
export type ChainFamily = keyof typeof FAMILIES;

export interface ChainName {
  readonly family: ChainFamily;
  readonly table: string;
  readonly name: string;
}

/** Which of the chains exist, in the given order. Throws a SyscallError when the kernel cannot say. */
export function chainsExist(chains: readonly ChainName[]): boolean[] {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  return socket.batch(chains.map(chainRequest)).map((answer) => {
    if (!answer.ok && !isAbsence(answer.error)) throw answer.error;
    return answer.ok;
  });
}

function chainRequest({ family, table, name }: ChainName): Request {
  const payload = Buffer.concat([nfHeader(FAMILIES[family]), encodeAttributes({ table, name }, CHAIN)]);
  return { type: GET_CHAIN, flags: 0, payload, subject: `chain "${family} ${table} ${name}"` };
}

/** A kernel without nf_tables refuses the protocol: then there are no chains either. */
function isAbsence(error: Error): boolean {
  return isErrno(error, 'ENOENT', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EINVAL');
}

export interface RuleComment {
  readonly chain: string;
  readonly handle: bigint;
  /** '' when there is none. */
  readonly comment: string;
}

/** The rules of a table with their comments, in order; none when there is no such table. */
export function ruleComments(family: ChainFamily, table: string): RuleComment[] {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  const payload = Buffer.concat([nfHeader(FAMILIES[family]), encodeAttributes({ table }, RULE)]);
  const request = { type: GET_RULE, flags: 0, payload, subject: `rules of table "${family} ${table}"` };
  return dumpOrNone(socket, request)
    .map((message) => decodeAttributes(message.payload.subarray(NFGENMSG_LENGTH), RULE))
    .filter((rule) => rule.table === table)
    .map(({ chain = '', handle, userData }) => ({
      chain,
      handle: handle?.length === 8 ? handle.readBigUInt64BE() : 0n,
      comment: commentOf(userData ?? Buffer.alloc(0)),
    }));
}

function dumpOrNone(socket: NetlinkSocket, request: Request): ReturnType<NetlinkSocket['dump']> {
  try {
    return socket.dump(request);
  } catch (error) {
    if (error instanceof Error && isAbsence(error)) return [];
    throw error;
  }
}

/** The comment in a rule's user data: items of type, length and bytes, of which type 0 is the comment with its NUL. */
export function commentOf(userData: Buffer): string {
  let offset = 0;
  while (offset + 2 <= userData.length) {
    const type = userData.readUInt8(offset);
    const length = userData.readUInt8(offset + 1);
    const value = userData.subarray(offset + 2, offset + 2 + length);
    if (type === 0) return value.toString('utf8').replace(/\0.*$/s, '');
    offset += 2 + length;
  }
  return '';
}

/** True when iptables-legacy has this table here: its rules are not in nftables. */
export function hasLegacyTable(family: 4 | 6, table: string): boolean {
  try {
    const names = readFileSync(`/proc/thread-self/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'latin1');
    return names.split('\n').includes(table);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/**
 * False when iptables surely has no such chain. True costs a look at the table: the chain is there, or the table is one of
 * iptables-legacy.
 */
export function mayHaveIptablesChain(family: 4 | 6, table: string, chain: string): boolean {
  const [exists = true] = chainsExist([{ family: family === 4 ? 'ip' : 'ip6', table, name: chain }]);
  return exists || hasLegacyTable(family, table);
}
