/** Traffic filters of a queueing discipline (linux/pkt_cls.h, linux/tc_act/tc_mirred.h). */
import { afterHeader, decodeAttributes, encodeAttributes, type Message } from './codec.ts';
import { NLM_F_CREATE, NLM_F_EXCL, Rtm } from './constants.ts';
import type { NetlinkSocket, Request } from './socket.ts';

const HEADER = 20;
const FILTER = { kind: [1, 'string'], options: [2, 'bytes'] } as const;
const ETH_P_ALL = 0x0003;
/** What becomes of a packet that an action has dealt with: it is taken away. */
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;
const TC_U32_TERMINAL = 1;

const ACTION = {
  kind: [1, 'string'],
  options: [2, 'nest', { mirred: [2, 'bytes'] }],
} as const;
const U32 = {
  classId: [1, 'u32'],
  selector: [5, 'bytes'],
  actions: [7, 'nest', { first: [1, 'nest', ACTION] }],
} as const;

export interface Redirection {
  /** The link whose incoming packets are redirected; it must have an ingress qdisc. */
  readonly index: number;
  /** The link that they leave by instead. */
  readonly to: number;
  /** Handle of the ingress qdisc. */
  readonly parent: number;
}

/** Sends all packets that come in by a link out by another: u32 that matches anything, with the action mirred. */
export function newRedirection({ index, to, parent }: Redirection): Request {
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(parent, 12);
  // Priority in the upper half, protocol in network order in the lower.
  const protocol = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
  header.writeUInt32LE((1 << 16) | protocol, 16);
  const actions = { first: { kind: 'mirred', options: { mirred: mirred(to) } } };
  const options = encodeAttributes({ classId: 0x1_0001, selector: matchAll(), actions }, U32);
  return {
    type: Rtm.NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: Buffer.concat([header, encodeAttributes({ kind: 'u32', options }, FILTER)]),
    subject: `redirection from link ${index} to ${to}`,
  };
}

/** struct tc_u32_sel with one key, whose mask is 0. */
function matchAll(): Buffer {
  const selector = Buffer.alloc(32);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  return selector;
}

/** struct tc_mirred: index, capabilities, action, two counters; what to do, and the link. */
function mirred(to: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeInt32LE(TC_ACT_STOLEN, 8);
  bytes.writeInt32LE(TCA_EGRESS_REDIR, 20);
  bytes.writeUInt32LE(to, 24);
  return bytes;
}

/** The links that packets coming in by a link are redirected to. */
export function listRedirections(socket: NetlinkSocket, filter: Omit<Redirection, 'to'>): number[] {
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(filter.index, 4);
  header.writeUInt32LE(filter.parent, 12);
  return socket
    .dump({ type: Rtm.GETTFILTER, flags: 0, payload: header, subject: `filters of link ${filter.index}` })
    .filter((message) => message.type === Rtm.NEWTFILTER)
    .flatMap((message) => targetOf(message) ?? []);
}

function targetOf(message: Message): number | undefined {
  const { kind, options } = decodeAttributes(afterHeader(message.payload, HEADER), FILTER);
  if (kind !== 'u32' || options === undefined) return undefined;
  const parameters = decodeAttributes(options, U32).actions?.first?.options?.mirred;
  return parameters?.length === 28 && parameters.readInt32LE(20) === TCA_EGRESS_REDIR
    ? parameters.readUInt32LE(24)
    : undefined;
}
