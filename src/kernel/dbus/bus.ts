import { geteuid } from 'node:process';
import { BerthError, isErrno, messageOf } from '../../lib/errors.ts';
import { SyscallError } from '../errno.ts';
import {
  AF_UNIX,
  close,
  connect,
  recv,
  send,
  setsockopt,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  socket,
} from '../libc.ts';
import { parseBusAddress, type UnixAddress } from './address.ts';
import {
  DbusFormatError,
  type DbusMessage,
  type DbusValue,
  decodeBody,
  decodeMessage,
  encodeCall,
  ERROR,
  type MethodCall,
  messageLength,
  METHOD_RETURN,
  PREFIX_LENGTH,
} from './message.ts';

/** The bus itself, as a service. */
export const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
} as const;

const CHUNK = 1 << 14;
/** The one line of the authentication that we read has some 40 bytes. */
const MAX_LINE = 1024;

/** Until when an answer is waited for, and what to say when none came. */
interface Deadline {
  readonly at: number;
  readonly silence: string;
}

/** A service's refusal of a call. */
export class DbusError extends Error {
  override readonly name = 'DbusError';
  /** `org.freedesktop.DBus.Error.ServiceUnknown`. */
  readonly errorName: string;

  /** The message is the service's own; the error's name when it says nothing. */
  constructor(errorName: string, text: string) {
    super(text === '' ? errorName : text);
    this.errorName = errorName;
  }
}

export interface BusOptions {
  /** As systemBusAddress gives it: `unix:path=…`, or several. The first that takes the connection is used. */
  readonly address: string;
  /** How long to wait for being let in, and for the answer to each call, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * A synchronous connection to a message bus, for a few calls. Everything throws UNAVAILABLE when there is no such bus, when it lets us
 * not in, goes away or speaks no D-Bus, and DEADLINE_EXCEEDED when it is silent for longer than the timeout.
 */
export class MessageBus implements Disposable {
  private readonly fd: number;
  private readonly timeoutMs: number;
  private readonly chunk = Buffer.allocUnsafe(CHUNK);
  /** Received and not yet looked at. */
  private input = Buffer.alloc(0);
  private serial = 0;

  private constructor(fd: number, timeoutMs: number) {
    this.fd = fd;
    this.timeoutMs = timeoutMs;
  }

  /** Throws INVALID_ARGUMENT when the address has no unix socket. */
  static open({ address, timeoutMs }: BusOptions): MessageBus {
    const bus = new MessageBus(connectAny(parseBusAddress(address), timeoutMs), timeoutMs);
    try {
      bus.authenticate();
      bus.call({ ...BUS, member: 'Hello', args: [] });
      return bus;
    } catch (error) {
      bus.close();
      throw error;
    }
  }

  /** Calls a method of a service that runs, and returns what it answers. Throws a DbusError when it refuses. */
  call(call: MethodCall): DbusValue[] {
    const what = `${call.destination} did not answer ${call.member}`;
    return this.within(what, (deadline) => {
      this.serial += 1;
      this.write(encodeCall(call, this.serial));
      const reply = this.replyTo(this.serial, deadline);
      if (reply.type === ERROR) throw new DbusError(reply.errorName, textOf(reply));
      return decodeBody(reply);
    });
  }

  close(): void {
    close(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** SASL EXTERNAL: the bus knows from the socket who we are, and is told the same. */
  private authenticate(): void {
    this.within('the D-Bus system bus did not answer', (deadline) => {
      const uid = Buffer.from(String(geteuid?.() ?? 0)).toString('hex');
      this.write(Buffer.from(`\0AUTH EXTERNAL ${uid}\r\n`));
      const line = this.line(deadline);
      if (!line.startsWith('OK ')) throw unavailable(`it refused us with ${JSON.stringify(line)}`);
      this.write(Buffer.from('BEGIN\r\n'));
    });
  }

  private line(deadline: Deadline): string {
    for (;;) {
      const end = this.input.indexOf('\r\n');
      if (end >= 0) return this.take(end + 2).toString('latin1', 0, end);
      if (this.input.length > MAX_LINE) throw new DbusFormatError('it answers no line');
      this.fill(deadline);
    }
  }

  /** Signals, and answers that came too late for their call, are passed over. */
  private replyTo(serial: number, deadline: Deadline): DbusMessage {
    for (;;) {
      const message = this.message(deadline);
      const isReply = message.type === METHOD_RETURN || message.type === ERROR;
      if (isReply && message.replySerial === serial) return message;
    }
  }

  private message(deadline: Deadline): DbusMessage {
    while (this.input.length < PREFIX_LENGTH) this.fill(deadline);
    const length = messageLength(this.input);
    while (this.input.length < length) this.fill(deadline);
    return decodeMessage(this.take(length));
  }

  private take(length: number): Buffer {
    const taken = this.input.subarray(0, length);
    this.input = this.input.subarray(length);
    return taken;
  }

  private fill(deadline: Deadline): void {
    const left = deadline.at - performance.now();
    if (left < 1) throw timedOut(deadline.silence, this.timeoutMs);
    setTimeoutOf(this.fd, SO_RCVTIMEO, left);
    const received = recv(this.fd, this.chunk, 0);
    if (received === 0) throw unavailable('it closed the connection');
    this.input = Buffer.concat([this.input, this.chunk.subarray(0, received)]);
  }

  private write(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(send(this.fd, rest));
  }

  /** Runs an exchange; what the socket or the format says becomes UNAVAILABLE, its timeout DEADLINE_EXCEEDED. */
  private within<T>(silence: string, exchange: (deadline: Deadline) => T): T {
    try {
      return exchange({ at: performance.now() + this.timeoutMs, silence });
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) throw timedOut(silence, this.timeoutMs);
      if (error instanceof SyscallError || error instanceof DbusFormatError) {
        throw unavailable(messageOf(error), error);
      }
      throw error;
    }
  }
}

function textOf(reply: DbusMessage): string {
  const [text] = reply.signature === 's' ? decodeBody(reply) : [];
  return typeof text === 'string' ? text : '';
}

function unavailable(problem: string, cause?: unknown): BerthError {
  return new BerthError('UNAVAILABLE', `the D-Bus system bus cannot be used: ${problem}`, { cause });
}

function timedOut(silence: string, timeoutMs: number): BerthError {
  return new BerthError('DEADLINE_EXCEEDED', `${silence} within ${timeoutMs} ms`);
}

/** A descriptor that is connected to the first of these that answers. */
function connectAny(addresses: readonly UnixAddress[], timeoutMs: number): number {
  let last: unknown;
  for (const { text, sockaddr } of addresses) {
    const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    try {
      setTimeoutOf(fd, SO_SNDTIMEO, timeoutMs);
      connect(fd, sockaddr);
      return fd;
    } catch (error) {
      close(fd);
      // The queue of a bus that accepts nobody is full.
      if (isErrno(error, 'EAGAIN'))
        throw timedOut(`the D-Bus system bus ${text} took no connection`, timeoutMs);
      if (!(error instanceof SyscallError)) throw error;
      last = unavailable(`failed to connect to ${text}: ${error.reason}`, error);
    }
  }
  throw last;
}

/** struct timeval. */
function setTimeoutOf(fd: number, option: number, ms: number): void {
  const value = Buffer.alloc(16);
  value.writeBigInt64LE(BigInt(Math.trunc(ms / 1000)), 0);
  value.writeBigInt64LE(BigInt(Math.trunc((ms % 1000) * 1000)), 8);
  setsockopt(fd, SOL_SOCKET, option, value);
}
