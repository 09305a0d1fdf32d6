/** Network interfaces. Requests are built by pure functions, so that several can go in one datagram. */
import { SyscallError } from '../errno.ts';
import { AF_BRIDGE } from '../libc.ts';
import { afterHeader, decodeAttributes, encodeAttributes, type Message } from './codec.ts';
import { NLM_F_CREATE, NLM_F_EXCL, Rtm } from './constants.ts';
import type { NetlinkSocket, Request } from './socket.ts';

/** Flags of a link (net/if.h). */
export const Iff = { UP: 0x1, LOOPBACK: 0x8, RUNNING: 0x40, PROMISC: 0x100, ALLMULTI: 0x200 } as const;

/** RFC 2863 operational state. */
export type OperState = 'unknown' | 'notpresent' | 'down' | 'lowerlayerdown' | 'testing' | 'dormant' | 'up';
const OPER_STATES: readonly OperState[] = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
];

const HEADER = 16;
/** The kernel takes a longer name for an alternative one only where it is said to be one. */
const LONGEST_NAME = 15;
/** Leaves out the counters, which nobody here reads. */
const SKIP_STATS = 1 << 3;

const PORT = { state: [1, 'u8'], hairpin: [4, 'u8'], isolated: [33, 'u8'] } as const;

const LINK = {
  mac: [1, 'mac'],
  name: [3, 'string'],
  mtu: [4, 'u32'],
  link: [5, 's32'],
  master: [10, 'u32'],
  txQueueLength: [13, 'u32'],
  operState: [16, 'u8'],
  info: [
    18,
    'nest',
    { kind: [1, 'string'], data: [2, 'bytes'], portKind: [4, 'string'], portData: [5, 'bytes'] },
  ],
  alias: [20, 'string'],
  netnsFd: [28, 'u32'],
  extMask: [29, 'u32'],
  promiscuity: [30, 'u32'],
  linkNetnsId: [37, 's32'],
  alternativeName: [53, 'string'],
} as const;

const VETH = { peer: [1, 'bytes'] } as const;
const BRIDGE = { vlanFiltering: [7, 'u8'], defaultPvid: [39, 'u16'] } as const;
const VXLAN = {
  id: [1, 'u32'],
  device: [3, 'u32'],
  local: [4, 'ip'],
  learning: [7, 'u8'],
  port: [15, 'be16'],
  local6: [17, 'ip'],
} as const;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`…; '' for those that the kernel makes itself. */
  readonly kind: string;
  /** '' when it has none. */
  readonly mac: string;
  readonly mtu: number;
  readonly flags: number;
  readonly operState: OperState;
  /** Index of the bridge or other master; 0 for none. */
  readonly master: number;
  /** Index of the link below, or of a veth's other end; 0 for none. */
  readonly peer: number;
  /** Id of the network namespace where that is, as this namespace numbers them; undefined when it is this one. */
  readonly peerNetnsId: number | undefined;
  /** How many users asked for promiscuous mode. */
  readonly promiscuity: number;
  readonly alias: string;
  /** In packets. */
  readonly txQueueLength: number;
  /** What the kernel tells of its kind, for link-kinds.ts; empty when nothing. */
  readonly data: Buffer;
  /** When it is a port of a bridge. */
  readonly port: { readonly hairpin: boolean; readonly isolated: boolean } | undefined;
}

/** What a new link begins with. */
export interface LinkSpec {
  readonly name: string;
  readonly kind: string;
  /** Of the kind: vethData, bridgeData, vxlanData, and those of link-kinds.ts. */
  readonly data?: Buffer | undefined;
  /** Index of the link below, as the namespace of the socket numbers it. */
  readonly link?: number | undefined;
  readonly mtu?: number | undefined;
  readonly mac?: string | undefined;
  readonly master?: number | undefined;
  readonly up?: boolean | undefined;
  readonly netnsFd?: number | undefined;
  readonly alias?: string | undefined;
}

/** What to change on a link; what is absent stays. */
export interface LinkChanges {
  readonly up?: boolean;
  readonly promiscuous?: boolean;
  readonly allMulticast?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  /** 0 takes it out of its master. */
  readonly master?: number;
  readonly name?: string;
  readonly netnsFd?: number;
  readonly alias?: string;
  /** In packets. */
  readonly txQueueLength?: number;
}

function header(fields: { family?: number; index?: number; flags?: number; change?: number }): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt8(fields.family ?? 0, 0);
  bytes.writeInt32LE(fields.index ?? 0, 4);
  bytes.writeUInt32LE(fields.flags ?? 0, 8);
  bytes.writeUInt32LE(fields.change ?? 0, 12);
  return bytes;
}

function subject(link: string | number): string {
  return typeof link === 'string' ? `link ${JSON.stringify(link)}` : `link ${link}`;
}

/** ifinfomsg and attributes of a link to be made. */
function specBytes(spec: LinkSpec): Buffer {
  const up = spec.up === true ? Iff.UP : 0;
  const { name, mtu, mac, link, master, netnsFd, alias } = spec;
  const info = { kind: spec.kind, data: spec.data };
  return Buffer.concat([
    header({ flags: up, change: up }),
    encodeAttributes({ name, mtu, mac, link, master, netnsFd, alias, info }, LINK),
  ]);
}

/** Makes a link; EEXIST when the name is taken. */
export function newLink(spec: LinkSpec): Request {
  return {
    type: Rtm.NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: specBytes(spec),
    subject: subject(spec.name),
  };
}

/**
 * A veth pair's other end, with all that it begins with: it may be made in another namespace (netnsFd). It cannot begin up, as it is made
 * before it has its peer.
 */
export function vethData(peer: Omit<LinkSpec, 'kind' | 'data' | 'up'>): Buffer {
  return encodeAttributes({ peer: specBytes({ ...peer, kind: 'veth' }) }, VETH);
}

export function bridgeData(options: {
  readonly vlanFiltering?: boolean;
  readonly defaultPvid?: number;
}): Buffer {
  const { vlanFiltering, defaultPvid } = options;
  return encodeAttributes(
    { vlanFiltering: vlanFiltering === undefined ? undefined : Number(vlanFiltering), defaultPvid },
    BRIDGE,
  );
}

export function vxlanData(options: {
  readonly id: number;
  readonly device?: number;
  readonly local?: string;
  /** UDP port. */
  readonly port?: number;
  readonly learning?: boolean;
}): Buffer {
  const { id, device, local, port, learning } = options;
  return encodeAttributes(
    {
      id,
      device,
      port,
      learning: learning === undefined ? undefined : Number(learning),
      ...(local?.includes(':') === true ? { local6: local } : { local }),
    },
    VXLAN,
  );
}

export function changeLink(index: number, changes: LinkChanges): Request {
  let flags = 0;
  let change = 0;
  for (const [wanted, flag] of [
    [changes.up, Iff.UP],
    [changes.promiscuous, Iff.PROMISC],
    [changes.allMulticast, Iff.ALLMULTI],
  ] as const) {
    if (wanted !== undefined) {
      change |= flag;
      flags |= wanted ? flag : 0;
    }
  }
  const { mtu, mac, master, name, netnsFd, alias, txQueueLength } = changes;
  const attributes = encodeAttributes({ mtu, mac, master, name, netnsFd, alias, txQueueLength }, LINK);
  const payload = Buffer.concat([header({ index, flags, change }), attributes]);
  return { type: Rtm.SETLINK, flags: 0, payload, subject: subject(index) };
}

/** Changes a link as a port of its bridge. */
export function changeBridgePort(
  index: number,
  port: { readonly hairpin?: boolean; readonly isolated?: boolean },
): Request {
  const { hairpin, isolated } = port;
  const attributes = encodeAttributes(
    {
      port: {
        hairpin: hairpin === undefined ? undefined : Number(hairpin),
        isolated: isolated === undefined ? undefined : Number(isolated),
      },
    },
    { port: [12, 'nest', PORT] },
  );
  const payload = Buffer.concat([header({ family: AF_BRIDGE, index }), attributes]);
  return { type: Rtm.SETLINK, flags: 0, payload, subject: `bridge port ${index}` };
}

/** Deleting one end of a veth pair deletes the other too. It waits for an RCU grace period: 10 ms and more. */
export function deleteLink(index: number): Request {
  return { type: Rtm.DELLINK, flags: 0, payload: header({ index }), subject: subject(index) };
}

export function getLink(link: string | number): Request {
  const index = typeof link === 'number' ? link : 0;
  const named = typeof link === 'number' ? {} : isLong(link) ? { alternativeName: link } : { name: link };
  const attributes = encodeAttributes({ ...named, extMask: SKIP_STATS }, LINK);
  const payload = Buffer.concat([header({ index }), attributes]);
  return { type: Rtm.GETLINK, flags: 0, payload, subject: subject(link), isGet: true };
}

function isLong(name: string): boolean {
  return Buffer.byteLength(name) > LONGEST_NAME;
}

/** Reads one object of an answer to getLink or of a dump. Throws NetlinkFormatError when its attributes are cut. */
export function parseLink(message: Message): Link {
  const attributes = decodeAttributes(afterHeader(message.payload, HEADER), LINK);
  const { info } = attributes;
  return {
    index: message.payload.readInt32LE(4),
    name: attributes.name ?? '',
    kind: info?.kind ?? '',
    mac: attributes.mac ?? '',
    mtu: attributes.mtu ?? 0,
    flags: message.payload.readUInt32LE(8),
    operState: OPER_STATES[attributes.operState ?? 0] ?? 'unknown',
    master: attributes.master ?? 0,
    peer: attributes.link ?? 0,
    peerNetnsId: attributes.linkNetnsId,
    promiscuity: attributes.promiscuity ?? 0,
    alias: attributes.alias ?? '',
    txQueueLength: attributes.txQueueLength ?? 0,
    data: info?.data ?? Buffer.alloc(0),
    port: info?.portKind === 'bridge' && info.portData !== undefined ? parsePort(info.portData) : undefined,
  };
}

function parsePort(data: Buffer): NonNullable<Link['port']> {
  const { hairpin, isolated } = decodeAttributes(data, PORT);
  return { hairpin: hairpin === 1, isolated: isolated === 1 };
}

/** How the kernel says that a name is none, not even an alternative one: too long, or before Linux 5.5. */
const NO_NAME: readonly string[] = ['ERANGE', 'EINVAL'];

/** The link of a name, be it an alternative one, or index; undefined when there is none. */
export function findLink(socket: NetlinkSocket, link: string | number): Link | undefined {
  try {
    const [message] = socket.request(getLink(link));
    return message === undefined ? undefined : parseLink(message);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const isNoName = typeof link === 'string' && isLong(link) && NO_NAME.includes(error.code);
    if (error.code === 'ENODEV' || isNoName) return undefined;
    throw error;
  }
}

/** All links of the socket's namespace; with a master only its ports. */
export function listLinks(socket: NetlinkSocket, options: { readonly master?: number } = {}): Link[] {
  const payload = Buffer.concat([
    header({}),
    encodeAttributes({ master: options.master, extMask: SKIP_STATS }, LINK),
  ]);
  const links = socket.dump({ type: Rtm.GETLINK, flags: 0, payload, subject: 'links' }).map(parseLink);
  return options.master === undefined ? links : links.filter((link) => link.master === options.master);
}

/** Index of the loopback interface of every network namespace. */
export const LOOPBACK_INDEX = 1;
