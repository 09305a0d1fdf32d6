/** What SPDY/3.1 sends over the wire, taken apart. */

export const VERSION = 3;

export const FLAG_FIN = 0x01;
export const FLAG_UNIDIRECTIONAL = 0x02;

export const FrameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** Why a stream was reset. */
export const ResetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
  flowControlError: 7,
  streamInUse: 8,
  streamAlreadyClosed: 9,
} as const;

/** Why a session was given up. */
export const GoAwayStatus = { ok: 0, protocolError: 1, internalError: 2 } as const;

/** SETTINGS: how much a peer takes of each new stream before a WINDOW_UPDATE. */
export const SETTING_INITIAL_WINDOW_SIZE = 7;

/** Names are lower case; several values of one name are separated by NUL. */
export type Headers = ReadonlyMap<string, string>;

export type ControlFrame =
  | {
      readonly kind: 'syn-stream';
      readonly streamId: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      readonly headers: Headers;
    }
  | {
      readonly kind: 'syn-reply' | 'headers';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headers: Headers;
    }
  | { readonly kind: 'rst-stream'; readonly streamId: number; readonly status: number }
  | { readonly kind: 'settings'; readonly values: ReadonlyMap<number, number> }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'go-away'; readonly lastStreamId: number; readonly status: number }
  /** Stream 0 is the session. */
  | { readonly kind: 'window-update'; readonly streamId: number; readonly delta: number };

export type Frame =
  | ControlFrame
  /** A piece of a DATA frame: a long one comes as it arrives, and only its last piece can be the end. */
  | { readonly kind: 'data'; readonly streamId: number; readonly bytes: Uint8Array; readonly fin: boolean };

/** The peer does not speak SPDY/3.1; nothing that it sends can be understood any more. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
