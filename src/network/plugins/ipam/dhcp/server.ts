/**
 * The keeper of leases for callers in other processes, such as `berth cni dhcp` under another runtime: one connection, one call and
 * its reply as lines of JSON. A caller that goes away takes its ADD along.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { unixAddress } from '../../../../kernel/unix-address.ts';
import { BerthError, messageOf } from '../../../../lib/errors.ts';
import type { Logger } from '../../../../lib/log.ts';
import { isJsonObject } from '../../../../lib/json.ts';
import { removeStaleSocket } from '../../../../lib/stale-socket.ts';
import { CniCode } from '../../../cni/types.ts';
import type { LeaseCall, LeaseReply } from './call.ts';
import type { Leases } from './leases.ts';

const CALL_MOST_BYTES = 1 << 20;
const CALLERS_MOST = 256;

export class LeaseServer {
  readonly #path: string;
  readonly #leases: Pick<Leases, 'serve'>;
  readonly #server: Server;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();

  constructor(path: string, leases: Pick<Leases, 'serve'>, log: Logger) {
    this.#path = path;
    this.#leases = leases;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = CALLERS_MOST;
    this.#log = log;
  }

  /** Throws ALREADY_EXISTS when another process serves there, UNAVAILABLE when the socket cannot be made, RangeError for its path. */
  async start(): Promise<void> {
    // Node would cut a path that is too long.
    unixAddress(this.#path);
    await removeStaleSocket(this.#path);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const message = `failed to listen on "${this.#path}": ${cause.message}`;
        reject(new BerthError('UNAVAILABLE', message, { cause }));
      });
      // The socket is made within this call: nobody else can connect even for a moment.
      const umask = process.umask(0o177);
      this.#server.listen(this.#path, resolve);
      process.umask(umask);
    });
    // A caller who cannot be let in, for want of descriptors for instance, tries again.
    this.#server.on('error', (error) => this.#log.warn('socket of DHCP leases', { error: error.message }));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(socket: Socket): void {
    const gone = new AbortController();
    this.#sockets.add(socket);
    // Its end is seen as the close that follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      gone.abort(new BerthError('CANCELLED', 'the caller is gone'));
    });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) {
        socket.removeAllListeners('data').resume();
        void this.#answer(text.slice(0, end), gone.signal).then((reply) => {
          socket.end(`${JSON.stringify(reply)}\n`);
        });
      } else if (text.length > CALL_MOST_BYTES) {
        socket.destroy();
      }
    });
    socket.on('end', () => socket.destroy());
  }

  async #answer(line: string, signal: AbortSignal): Promise<LeaseReply> {
    try {
      return await this.#leases.serve(parseCall(line), signal);
    } catch (error) {
      return { failure: { code: CniCode.DecodeFailure, message: messageOf(error), details: '' } };
    }
  }
}

const VERBS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'] satisfies LeaseCall['verb'][];

/** Who may connect is root; it is read with care all the same. */
function parseCall(line: string): LeaseCall {
  const value: unknown = JSON.parse(line);
  if (!isJsonObject(value)) throw new TypeError('invalid call: must be an object');
  const { verb, containerId, netns, ifName, args, config, deadline, dryRun } = value;
  if (!VERBS.includes(verb as string)) throw new TypeError(`invalid verb: ${JSON.stringify(verb)}`);
  for (const [name, text] of Object.entries({ containerId, netns, ifName, args })) {
    if (typeof text !== 'string') throw new TypeError(`invalid ${name}: must be a string`);
  }
  if (!isJsonObject(config)) throw new TypeError('invalid config: must be an object');
  if (deadline !== undefined && typeof deadline !== 'number')
    throw new TypeError('invalid deadline: must be a number');
  if (dryRun !== undefined && typeof dryRun !== 'boolean')
    throw new TypeError('invalid dryRun: must be a boolean');
  return value as unknown as LeaseCall;
}
