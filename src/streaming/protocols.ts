/** Which protocols are spoken, and which of them a client gets. */

/** On SPDY; the newest first. */
export const COMMAND_PROTOCOLS = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;
export const PORT_FORWARD_PROTOCOLS = ['portforward.k8s.io'] as const;

/** SPDY inside of a WebSocket: what kubectl and crictl use for ports. */
export const TUNNEL_PROTOCOL = 'SPDY/3.1+portforward.k8s.io';

/** How channels travel in the messages of a WebSocket. */
export interface ChannelProtocol {
  readonly base64: boolean;
  /** The outcome is a Status in JSON, not a text. */
  readonly jsonStatus: boolean;
  /** A client can say that one channel has ended. */
  readonly closeSignal: boolean;
}

const plain = { base64: false, jsonStatus: false, closeSignal: false };
const status = { ...plain, jsonStatus: true };

/** '' is a client that names none. */
export const WEBSOCKET_COMMAND_PROTOCOLS: ReadonlyMap<string, ChannelProtocol> = new Map([
  ['v5.channel.k8s.io', { ...status, closeSignal: true }],
  ['v4.channel.k8s.io', status],
  ['v4.base64.channel.k8s.io', { ...status, base64: true }],
  ['channel.k8s.io', plain],
  ['base64.channel.k8s.io', { ...plain, base64: true }],
  ['', plain],
]);

export const WEBSOCKET_PORT_PROTOCOLS: ReadonlyMap<string, ChannelProtocol> = new Map([
  ['v4.channel.k8s.io', plain],
  ['v4.base64.channel.k8s.io', { ...plain, base64: true }],
  ['', plain],
]);

/** The values of a header that may be there several times, each of them a list. */
export function listOf(header: string | readonly string[] | undefined): string[] {
  const lines = header === undefined ? [] : [header].flat();
  return lines
    .flatMap((line) => line.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** The first of the client's protocols that we speak: clients name what they like best first. */
export function negotiate(offered: readonly string[], spoken: Iterable<string>): string | undefined {
  const known = new Set(spoken);
  return offered.find((protocol) => known.has(protocol));
}
