/** A LAN with one client and whatever server a test needs, under a clock that a test moves. */
import type { RouteSpec } from '../../src/kernel/netlink/routes.ts';
import type { Clock, Wire } from '../../src/network/plugins/ipam/dhcp/exchange.ts';
import { BROADCAST_ADDRESS, BROADCAST_MAC, encodeFrame } from '../../src/network/plugins/ipam/dhcp/frame.ts';
import type { Links } from '../../src/network/plugins/ipam/dhcp/links.ts';
import {
  type DhcpMessage,
  decodeMessage,
  encodeIp,
  encodeMessage,
  MessageType,
  Option,
} from '../../src/network/plugins/ipam/dhcp/message.ts';

export const CLIENT_MAC = '02:00:00:00:00:01';
export const SERVER_MAC = '02:00:00:00:00:99';
export const SERVER = '10.0.0.1';

/** Sleepers wake when the test says that it is time. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #sleepers: { at: number; wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  /** Jitter of zero. */
  random(): number {
    return 0.5;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      if (signal?.aborted === true) wake();
      else this.#sleepers.push({ at: this.#now + ms, wake });
      signal?.addEventListener('abort', wake);
    });
  }

  /** Lets so much time pass, and all that happens in it. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const [next] = this.#sleepers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#sleepers = this.#sleepers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await settle();
    }
    this.#now = Math.max(this.#now, end);
  }

  /** Lets time pass in which nobody wakes, as for one who is held up. */
  hold(ms: number): void {
    this.#now += ms;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What a client said, when, and whom it reached. */
export interface Said extends DhcpMessage {
  readonly type: number;
  /** Milliseconds since the LAN was made. */
  readonly at: number;
  readonly isUnicast: boolean;
}

/** What a client's frame said. */
export function saidIn(frame: Uint8Array, at: number): Said {
  const message = decodeMessage(Buffer.from(frame.subarray(42)));
  const type = message.options.get(Option.messageType)?.[0] ?? 0;
  return { ...message, type, at, isUnicast: frame[0] !== 0xff };
}

export type Answering = (said: Said) => readonly Partial<DhcpMessage>[];

/** The answer of a server: address, type and options. */
export function answer(
  type: number,
  address: string,
  options: readonly (readonly [number, Uint8Array])[] = [],
): Partial<DhcpMessage> {
  const all = new Map<number, Uint8Array>([
    [Option.messageType, Uint8Array.of(type)],
    [Option.serverIdentifier, encodeIp(SERVER)],
    ...options,
  ]);
  return { yiaddr: address, options: all };
}

export function seconds(code: number, value: number): readonly [number, Uint8Array] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return [code, bytes];
}

const MASK = [Option.subnetMask, Uint8Array.of(255, 255, 255, 0)] as const;

/** A server that gives one address, for so many seconds, and what more it is told to say. */
export function giving(
  address: string,
  lease: number,
  more: readonly (readonly [number, Uint8Array])[] = [],
): Answering {
  const options = [MASK, seconds(Option.leaseTime, lease), ...more];
  return ({ type }) => {
    if (type === MessageType.discover) return [answer(MessageType.offer, address, options)];
    return type === MessageType.request ? [answer(MessageType.ack, address, options)] : [];
  };
}

export const silent: Answering = () => [];

export class FakeLan implements Links {
  readonly said: Said[] = [];
  /** What was done to the client's interface. */
  readonly done: string[] = [];
  answering: Answering;
  isGone = false;
  /** The client's address is on its interface. */
  hasAddress = true;
  /** Wires that are open. */
  wires = 0;
  readonly #clock: Clock;
  readonly #begun: number;

  constructor(clock: Clock, answering: Answering) {
    this.#clock = clock;
    this.#begun = clock.now();
    this.answering = answering;
  }

  /** Types and times in seconds: `1@0 3@0`. */
  get story(): string {
    return this.said.map(({ type, at }) => `${type}@${Math.round(at / 100) / 10}`).join(' ');
  }

  hasPlace(): boolean {
    return !this.isGone;
  }

  async open(): Promise<Wire | undefined> {
    if (this.isGone) return undefined;
    this.wires += 1;
    const frames: Uint8Array[] = [];
    return {
      mac: CLIENT_MAC,
      mtu: 1_500,
      isShared: false,
      send: (frame) => void frames.push(...this.#hear(Buffer.from(frame))),
      receive: () => frames.shift(),
      close: () => void (this.wires -= 1),
    };
  }

  async routes(): Promise<RouteSpec[]> {
    return this.hasAddress ? [{ destination: '0.0.0.0/0', gateway: SERVER }] : [];
  }

  async withdraw({ address }: { address: string }): Promise<boolean> {
    const { hasAddress } = this;
    if (hasAddress) this.done.push(`withdraw ${address}`);
    this.hasAddress = false;
    return hasAddress;
  }

  async restore({ address, routes }: { address: string; routes: readonly RouteSpec[] }): Promise<void> {
    this.done.push(`restore ${address} ${routes.map(({ destination }) => destination).join(' ')}`);
    this.hasAddress = true;
  }

  #hear(frame: Buffer): Uint8Array[] {
    const said = saidIn(frame, this.#clock.now() - this.#begun);
    this.said.push(said);
    return answersTo(said, this.answering);
  }
}

/** The frames that a server answers with. */
export function answersTo(said: Said, answering: Answering): Buffer[] {
  return answering(said).map((each) => fromServer({ ...said, op: 2, options: new Map(), ...each }));
}

/**
 * As a server sends it (RFC 2131, 4.1): a NAK to everybody, all else to the client. Our own frames with the ports changed over, which
 * leaves the checksum as it is.
 */
export function fromServer(message: DhcpMessage): Buffer {
  const isForAll = message.broadcast || message.options.get(Option.messageType)?.[0] === MessageType.nak;
  const to = isForAll
    ? { destinationMac: BROADCAST_MAC, destination: BROADCAST_ADDRESS }
    : { destinationMac: message.chaddr, destination: message.yiaddr };
  const ends = { sourceMac: SERVER_MAC, source: SERVER, ...to };
  const frame = encodeFrame(ends, encodeMessage(message));
  frame.writeUInt16BE(67, 34);
  frame.writeUInt16BE(68, 36);
  return frame;
}
