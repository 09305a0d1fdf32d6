import { constants } from 'node:os';
import { SyscallError } from '../errno.ts';
import {
  AF_NETLINK,
  bind,
  close,
  recv,
  send,
  setsockopt,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  socket,
} from '../libc.ts';
import { sleepSync } from '../sleep.ts';
import { withNetns } from '../thread-namespaces.ts';
import {
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  HEADER_LENGTH,
  type Message,
  NetlinkFormatError,
} from './codec.ts';
import * as nl from './constants.ts';

/** One request, without what the socket adds to it: sequence number and the flags of how it is sent. */
export interface Request {
  /** One of Rtm. */
  readonly type: number;
  readonly flags: number;
  /** Fixed header of the type and attributes. */
  readonly payload: Buffer;
  /** What it is about, for error messages: `link "eth0"`. */
  readonly subject: string;
  /** The kernel answers with one object or refuses: it need not acknowledge besides. */
  readonly isGet?: boolean;
}

/** What the kernel answered to one request of several: the objects it sent, or why it refused. */
export type Answer =
  | { readonly ok: true; readonly messages: readonly Message[] }
  | { readonly ok: false; readonly error: SyscallError };

/** A kernel that does not answer within this time is broken; a lost answer must not hang a thread. */
const RECEIVE_TIMEOUT_S = 30;
const RECEIVE_BUFFER = 1 << 20;
/** The kernel makes dump datagrams of at most 32 KiB; a single link with many addresses stays far below 64 KiB. */
const DATAGRAM = 1 << 16;
/** How often a dump that was changed under us (NLM_F_DUMP_INTR) is begun anew, after pauses that grow by a millisecond: half a second. */
const DUMP_TRIES = 30;

/** The datagram that is being read, of whichever socket of this thread: what is kept of one is copied before the next. */
let received: Buffer | undefined;

/** Errors that mean the same, or that another dump is still going on. */
const CHANGED_UNDER_US: readonly string[] = ['EINTR', 'EBUSY', 'EAGAIN'];

/** The extended acknowledgement: the kernel's own words. */
const EXT_ACK = { message: [1, 'string'], offset: [2, 'u32'] } as const;

/**
 * A synchronous netlink socket. It speaks for the network namespace that it was opened in for its whole life, whatever the
 * thread does afterwards. A refusal is a SyscallError with the errno and the kernel's own words.
 */
export class NetlinkSocket implements Disposable {
  private readonly fd: number;
  private seq = 0;
  private closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Opens it in the calling thread's network namespace. */
  static open(protocol: number = nl.NETLINK_ROUTE): NetlinkSocket {
    const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    try {
      configure(fd);
      return new NetlinkSocket(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /** Enters the namespace of this path only to open the socket. */
  static openIn(netns: string): NetlinkSocket {
    return withNetns(netns, () => NetlinkSocket.open());
  }

  /** Sends one request and waits for its end; the objects that the kernel sent for it. */
  request(request: Request): readonly Message[] {
    const [answer] = this.batch([request]);
    if (answer === undefined) {
      throw new NetlinkFormatError(`no answer to ${nl.requestName(request.type)}`);
    }
    if (!answer.ok) {
      throw answer.error;
    }
    return answer.messages;
  }

  /**
   * Sends several requests in one datagram: the kernel works through all of them in order, also past one that it refuses. The
   * answers, in the same order. Only the last request asks for an acknowledgement, unless its object is one: a refusal is told in any
   * case.
   */
  batch(requests: readonly Request[]): Answer[] {
    // The kernel refuses an empty datagram (ENODATA).
    if (requests.length === 0) {
      return [];
    }
    const first = this.seq + 1;
    const last = requests.length - 1;
    const isGet = requests[last]?.isGet === true;
    const datagram = requests.map((request, index) =>
      this.encode(request, nl.NLM_F_REQUEST | (index === last && !isGet ? nl.NLM_F_ACK : 0) | request.flags),
    );
    this.sendAll(Buffer.concat(datagram));
    const objects = requests.map((): Message[] => []);
    const refusals = new Map<number, SyscallError>();
    for (let isDone = requests.length === 0; !isDone; ) {
      for (const message of this.receive()) {
        const index = message.seq - first;
        const request = requests[index];
        // An answer to an earlier request that failed half way, or news that nobody asked for.
        if (request === undefined) {
          continue;
        }
        if (message.type === nl.NLMSG_ERROR) {
          const error = refusal(message, request);
          if (error !== undefined) refusals.set(index, error);
          isDone ||= index === last;
        } else if (!isControl(message)) {
          // The receive buffer is used again for the next datagram.
          objects[index]?.push({ ...message, payload: Buffer.from(message.payload) });
          isDone ||= index === last && isGet;
        }
      }
    }
    return objects.map((messages, index): Answer => {
      const error = refusals.get(index);
      return error === undefined ? { ok: true, messages } : { ok: false, error };
    });
  }

  /** Several requests in one datagram; the first refusal is thrown, after all of them were worked through. */
  requestAll(requests: readonly Request[]): readonly (readonly Message[])[] {
    return this.batch(requests).map((answer) => {
      if (!answer.ok) {
        throw answer.error;
      }
      return answer.messages;
    });
  }

  /**
   * All objects of a kind. Begun anew when the kernel says that they changed meanwhile; throws EINTR when they do so again and again: who
   * takes something down would miss what is not in an incomplete answer.
   */
  dump(request: Request): readonly Message[] {
    for (let attempt = 1; ; attempt++) {
      const { messages, interrupted } = this.dumpOnce(request);
      if (!interrupted) return messages;
      if (attempt === DUMP_TRIES) {
        const words = 'changed under us again and again';
        throw new SyscallError(nl.requestName(request.type), constants.errno.EINTR, request.subject, words);
      }
      sleepSync(attempt);
    }
  }

  close(): void {
    if (!this.closed) {
      this.closed = true;
      close(this.fd);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private dumpOnce(request: Request): { messages: Message[]; interrupted: boolean } {
    this.sendAll(this.encode(request, nl.NLM_F_REQUEST | nl.NLM_F_DUMP | request.flags));
    const seq = this.seq;
    const messages: Message[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of this.receive()) {
        if (message.seq !== seq) {
          continue;
        }
        interrupted ||= (message.flags & nl.NLM_F_DUMP_INTR) !== 0;
        if (message.type === nl.NLMSG_DONE || message.type === nl.NLMSG_ERROR) {
          const error = refusal(message, request);
          if (error !== undefined && !CHANGED_UNDER_US.includes(error.code)) {
            throw error;
          }
          return { messages, interrupted: interrupted || error !== undefined };
        }
        if (!isControl(message)) {
          messages.push({ ...message, payload: Buffer.from(message.payload) });
        }
      }
    }
  }

  private encode(request: Request, flags: number): Buffer {
    this.seq++;
    return encodeMessage({ type: request.type, flags, seq: this.seq, port: 0, payload: request.payload });
  }

  private sendAll(datagram: Buffer): void {
    const sent = send(this.fd, datagram);
    if (sent !== datagram.length) {
      throw new NetlinkFormatError(`netlink took ${sent} of ${datagram.length} bytes`);
    }
  }

  private receive(): Message[] {
    received ??= Buffer.allocUnsafe(DATAGRAM);
    const length = recv(this.fd, received);
    if (length < HEADER_LENGTH || length > received.length) {
      throw new NetlinkFormatError(`netlink datagram of ${length} bytes`);
    }
    return decodeMessages(received.subarray(0, length));
  }
}

function configure(fd: number): void {
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(RECEIVE_TIMEOUT_S), 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout);
  const size = uint32(RECEIVE_BUFFER);
  for (const option of [nl.NETLINK_EXT_ACK, nl.NETLINK_CAP_ACK, nl.NETLINK_GET_STRICT_CHK]) {
    setQuietly(fd, nl.SOL_NETLINK, option, uint32(1));
  }
  if (!setQuietly(fd, SOL_SOCKET, SO_RCVBUFFORCE, size)) {
    setQuietly(fd, SOL_SOCKET, SO_RCVBUF, size);
  }
  // struct sockaddr_nl: family, padding, port (0: the kernel gives one), groups.
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  bind(fd, address);
}

/** For options that an older kernel does not know and that we can do without. */
function setQuietly(fd: number, level: number, option: number, value: Buffer): boolean {
  try {
    setsockopt(fd, level, option, value);
    return true;
  } catch (error) {
    if (error instanceof SyscallError) {
      return false;
    }
    throw error;
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function isControl(message: Message): boolean {
  return (
    message.type === nl.NLMSG_NOOP || message.type === nl.NLMSG_DONE || message.type === nl.NLMSG_OVERRUN
  );
}

/** The error of an NLMSG_ERROR or NLMSG_DONE, undefined when it says success. */
function refusal(message: Message, request: Request): SyscallError | undefined {
  const errno = message.payload.length < 4 ? 0 : -message.payload.readInt32LE(0);
  if (errno === 0) {
    return undefined;
  }
  return new SyscallError(nl.requestName(request.type), errno, request.subject, kernelWords(message));
}

function kernelWords(message: Message): string {
  if ((message.flags & nl.NLM_F_ACK_TLVS) === 0) {
    return '';
  }
  // NLMSG_ERROR: errno, header of the request, the rest of the request unless capped, attributes. NLMSG_DONE: errno, attributes.
  let start = 4;
  if (message.type === nl.NLMSG_ERROR) {
    const repeated =
      (message.flags & nl.NLM_F_CAPPED) === 0 ? message.payload.readUInt32LE(4) : HEADER_LENGTH;
    start += (repeated + 3) & ~3;
  }
  try {
    return decodeAttributes(message.payload.subarray(start), EXT_ACK).message ?? '';
  } catch (error) {
    if (error instanceof NetlinkFormatError) {
      return '';
    }
    throw error;
  }
}
