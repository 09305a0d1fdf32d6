/** One client's talk with servers over one link (RFC 2131, sections 3 and 4.4), as functions of what is sent and received. */
import { randomInt } from 'node:crypto';
import { BROADCAST_ADDRESS, BROADCAST_MAC, decodeFrame, encodeFrame, type Ends } from './frame.ts';
import {
  DhcpFormatError,
  type DhcpMessage,
  decodeMessage,
  encodeIp,
  encodeMessage,
  MessageType,
  NO_ADDRESS,
  Option,
  type Options,
} from './message.ts';
import { addressOf, byteOf, textOf } from './options.ts';

/** A link that frames go over. */
export interface Wire {
  /** Its hardware address now. */
  readonly mac: string;
  readonly mtu: number;
  /** It shares its hardware address: what is sent to an address that it does not have yet never reaches it. */
  readonly isShared: boolean;
  send(frame: Uint8Array): void;
  /** A frame that has come; undefined when there is none. */
  receive(): Uint8Array | undefined;
  close(): void;
}

export interface Clock {
  /** Milliseconds on a clock that nobody sets, from wherever it counts: leases do not follow that of the wall. */
  now(): number;
  /** Ends early when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

/** Who asks. */
export interface Client {
  /** The hardware address that servers know it by. */
  readonly mac: string;
  /** Said in each message: identifier, provided options, list of requested ones. */
  readonly options: Options;
}

/** A server, and the hardware address that its answers come from: its own, or that of the relay agent before it. */
export interface Server {
  readonly address: string;
  readonly mac: string;
}

/** What a server answers when it gives an address, or promises to. */
export interface Granted<Kind extends 'offer' | 'ack' = 'ack'> {
  readonly kind: Kind;
  readonly server: Server;
  readonly address: string;
  readonly options: Options;
  /** When it was asked for. */
  readonly sentAt: number;
}

/** A promise, and what the REQUEST for it says again of the DISCOVER that it answers (RFC 2131, table 5; secs: 3.1, 3). */
export interface Offer extends Granted<'offer'>, Header {}

type Header = Pick<DhcpMessage, 'xid' | 'secs'>;

/** And when it will not. */
export interface Refused {
  readonly kind: 'nak';
  readonly server: Server;
  /** Its words; '' for none. */
  readonly reason: string;
}

export interface Patience {
  /** How long to wait after each time that the message is sent; it is sent no more when they run out. */
  readonly delays: Iterable<number>;
  /** Not longer than until then. */
  readonly until: number;
  readonly signal: AbortSignal;
}

/** Everything that an exchange runs on. */
export interface Talk {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly client: Client;
}

/** DISCOVER: the first offer, or the first that `accept` takes; undefined when none came in time. */
export function discover(
  talk: Talk,
  wanted: string | undefined,
  patience: Patience,
  accept: (offered: string) => boolean = () => true,
): Promise<Offer | undefined> {
  const options = wanted === undefined ? [] : [[Option.requestedAddress, encodeIp(wanted)] as const];
  const take = (answer: Answer): Offer | undefined =>
    answer.kind === 'offer' && accept(answer.address) ? answer : undefined;
  return exchange(talk, { type: MessageType.discover, options }, take, patience);
}

/** REQUEST of what a server has offered: its ACK or NAK; undefined when none came in time. */
export function select(
  talk: Talk,
  { server, address, xid, secs }: Offer,
  patience: Patience,
): Promise<Granted | Refused | undefined> {
  const options = [
    [Option.serverIdentifier, encodeIp(server.address)],
    [Option.requestedAddress, encodeIp(address)],
  ] as const;
  const take = (answer: Answer): Granted | Refused | undefined =>
    answer.kind !== 'offer' && answer.server.address === server.address ? answer : undefined;
  return exchange(talk, { type: MessageType.request, options, header: { xid, secs } }, take, patience);
}

/** REQUEST for more time: to the server that granted the address, or to all when `server` is undefined. */
export function extend(
  talk: Talk,
  server: Server | undefined,
  address: string,
  patience: Patience,
): Promise<Granted | Refused | undefined> {
  const say = { type: MessageType.request, ciaddr: address, to: server };
  return exchange(talk, say, (answer) => (answer.kind === 'offer' ? undefined : answer), patience);
}

/** RELEASE: said once, and never answered. */
export function release(talk: Talk, server: Server, address: string): void {
  const { client, wire } = talk;
  const identifier = client.options.get(Option.clientIdentifier) ?? new Uint8Array();
  const message = {
    ...blank(client),
    ciaddr: address,
    options: new Map<number, Uint8Array>([
      [Option.messageType, Uint8Array.of(MessageType.release)],
      [Option.serverIdentifier, encodeIp(server.address)],
      [Option.clientIdentifier, identifier],
    ]),
  };
  wire.send(encodeFrame(endsOf(wire, address, server), encodeMessage(message)));
}

type Answer = Offer | Granted | Refused;

interface Say {
  readonly type: number;
  readonly options?: readonly (readonly [number, Uint8Array])[];
  /** The address that it has and may be reached by. */
  readonly ciaddr?: string;
  readonly to?: Server | undefined;
  /** Of the exchange that it goes on with; its own, and how long that has taken, when absent. */
  readonly header?: Header;
}

/** Longest pause between two looks at what has come. Node's loop cannot wait for such a socket. */
const LOOK_MOST_MS = 25;
/** How many frames are read at one look: a flood shall hold up nothing else. */
const FRAMES_AT_A_LOOK = 32;

async function exchange<T extends Answer>(
  talk: Talk,
  say: Say,
  take: (answer: Answer) => T | undefined,
  { delays, until, signal }: Patience,
): Promise<T | undefined> {
  const { wire, clock } = talk;
  const first = { ...blank(talk.client), ...say.header };
  const begun = clock.now();
  let times = 0;
  for (const delay of delays) {
    const sentAt = clock.now();
    if (sentAt >= until) break;
    const secs = say.header?.secs ?? Math.floor((sentAt - begun) / 1_000);
    const sent = { ...first, secs };
    wire.send(frameOf(talk, say, sent, times > 0));
    times += 1;
    const end = Math.min(until, sentAt + delay);
    // Ends with a look: one who was held up past the end finds what came before it.
    for (let ms = 1; ; ms = Math.min(2 * ms, LOOK_MOST_MS)) {
      for (const frame of received(wire)) {
        const answer = answerOf(frame, sent, talk.client, sentAt);
        const taken = answer === undefined ? undefined : take(answer);
        if (taken !== undefined) return taken;
      }
      const left = end - clock.now();
      if (left <= 0) break;
      await clock.sleep(Math.min(ms, left), signal);
      signal.throwIfAborted();
    }
  }
  return undefined;
}

function* received(wire: Wire): Generator<Uint8Array> {
  for (let count = 0; count < FRAMES_AT_A_LOOK; count += 1) {
    const frame = wire.receive();
    if (frame === undefined) return;
    yield frame;
  }
}

function blank({ mac }: Client): DhcpMessage {
  return {
    op: 1,
    xid: randomInt(2 ** 32),
    secs: 0,
    broadcast: false,
    ciaddr: NO_ADDRESS,
    yiaddr: NO_ADDRESS,
    siaddr: NO_ADDRESS,
    giaddr: NO_ADDRESS,
    chaddr: mac,
    options: new Map(),
  };
}

/** Ethernet carries so much; a server may not send more than is said here. */
const MESSAGE_MOST = 1_500;
const MESSAGE_LEAST = 576;

/** What was not answered asks for a broadcast when it is sent again: not every link lets other answers through. */
function frameOf({ wire, client }: Talk, say: Say, first: DhcpMessage, isRepeated: boolean): Uint8Array {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(Math.max(MESSAGE_LEAST, Math.min(wire.mtu, MESSAGE_MOST)));
  const message = {
    ...first,
    ciaddr: say.ciaddr ?? NO_ADDRESS,
    broadcast: say.ciaddr === undefined && (wire.isShared || isRepeated),
    options: new Map<number, Uint8Array>([
      [Option.messageType, Uint8Array.of(say.type)],
      ...(say.options ?? []),
      [Option.maximumMessageSize, size],
      ...client.options,
    ]),
  };
  return encodeFrame(endsOf(wire, message.ciaddr, say.to), encodeMessage(message));
}

function endsOf(wire: Wire, source: string, to: Server | undefined): Ends {
  return {
    sourceMac: wire.mac,
    destinationMac: to?.mac ?? BROADCAST_MAC,
    source,
    destination: to?.address ?? BROADCAST_ADDRESS,
  };
}

/** A server's answer to this message of ours; undefined for all else that passes by. */
function answerOf(bytes: Uint8Array, asked: DhcpMessage, client: Client, sentAt: number): Answer | undefined {
  const frame = decodeFrame(bytes);
  const message = frame === undefined ? undefined : decoded(frame.payload);
  if (frame === undefined || message === undefined) return undefined;
  const { xid, secs } = asked;
  const { op, chaddr, options, yiaddr: address } = message;
  if (op !== 2 || message.xid !== xid || chaddr !== asked.chaddr || !isFor(client, options)) return undefined;
  const server = {
    address: addressOf(options, Option.serverIdentifier) ?? frame.source,
    mac: frame.sourceMac,
  };
  const type = byteOf(options, Option.messageType);
  if (type === MessageType.nak) return { kind: 'nak', server, reason: textOf(options, Option.message) };
  if (!isUsable(address)) return undefined;
  if (type === MessageType.offer) return { kind: 'offer', server, address, options, sentAt, xid, secs };
  return type === MessageType.ack ? { kind: 'ack', server, address, options, sentAt } : undefined;
}

function decoded(payload: Uint8Array): DhcpMessage | undefined {
  try {
    return decodeMessage(payload);
  } catch (error) {
    if (error instanceof DhcpFormatError) return undefined;
    throw error;
  }
}

/** A server that repeats the identifier must repeat ours (RFC 6842). */
function isFor(client: Client, options: Options): boolean {
  const repeated = options.get(Option.clientIdentifier);
  const own = client.options.get(Option.clientIdentifier);
  return repeated === undefined || own === undefined || Buffer.compare(repeated, own) === 0;
}

/** An address that an interface can have: not 0.x, 127.x, and no group's. */
function isUsable(address: string): boolean {
  const [first = 0] = encodeIp(address);
  return first > 0 && first !== 127 && first < 224;
}
