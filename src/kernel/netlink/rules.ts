/** Rules that choose a routing table (linux/fib_rules.h). */
import type { AF_INET, AF_INET6 } from '../libc.ts';
import { afterHeader, decodeAttributes, encodeAttributes, type Message } from './codec.ts';
import { NLM_F_CREATE, NLM_F_EXCL, Rtm } from './constants.ts';
import { familyOf, formatIp, parsePrefix } from './ip.ts';
import type { NetlinkSocket, Request } from './socket.ts';

const HEADER = 12;
/** FR_ACT_TO_TBL: look into the table. */
const TO_TABLE = 1;

const RULE = { source: [2, 'ip'], priority: [6, 'u32'], table: [15, 'u32'] } as const;

export interface Rule {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** With prefix length; '' for any. */
  readonly source: string;
  readonly priority: number;
  readonly table: number;
}

export interface RuleSpec {
  /** Packets from these addresses; with prefix length. */
  readonly source: string;
  readonly table: number;
  /** Given by the kernel when absent; on deletion any matches. */
  readonly priority?: number | undefined;
}

function request(type: number, flags: number, { source, table, priority }: RuleSpec): Request {
  const { bytes, length } = parsePrefix(source);
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(familyOf(bytes), 0);
  header.writeUInt8(length, 2);
  // The header's field is a byte: greater numbers stand in the attribute alone.
  header.writeUInt8(table > 255 ? 0 : table, 4);
  header.writeUInt8(TO_TABLE, 7);
  const attributes = encodeAttributes({ source: formatIp(bytes), priority, table }, RULE);
  const payload = Buffer.concat([header, attributes]);
  return { type, flags, payload, subject: `rule from ${source} to table ${table}` };
}

/** EEXIST for exactly the same rule, when its priority is given. */
export function newRule(spec: RuleSpec): Request {
  return request(Rtm.NEWRULE, NLM_F_CREATE | NLM_F_EXCL, spec);
}

/** ENOENT when there is none that matches what is given. */
export function deleteRule(spec: RuleSpec): Request {
  return request(Rtm.DELRULE, 0, spec);
}

export function parseRule(message: Message): Rule {
  const { payload } = message;
  const { source, priority, table } = decodeAttributes(afterHeader(payload, HEADER), RULE);
  return {
    family: payload.readUInt8(0),
    source: source === undefined ? '' : `${source}/${payload.readUInt8(2)}`,
    priority: priority ?? 0,
    table: table ?? payload.readUInt8(4),
  };
}

/** All rules of one family, in the order in which they are asked. */
export function listRules(socket: NetlinkSocket, family: typeof AF_INET | typeof AF_INET6): Rule[] {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(family, 0);
  return socket
    .dump({ type: Rtm.GETRULE, flags: 0, payload: header, subject: 'rules' })
    .filter((message) => message.type === Rtm.NEWRULE && message.payload.readUInt8(0) === family)
    .map(parseRule);
}
