import type { MessagePort } from 'node:worker_threads';
import { messageOf } from '../lib/errors.ts';
import { nowNanos } from '../lib/time.ts';
import { Client } from './client.ts';
import { ByteBuffer, CriLogEncoder, type OutputStream } from './cri-log.ts';
import { ExecOutputCollector } from './exec-output.ts';
import { FifoSink } from './fifo-sink.ts';
import { FifoSource } from './fifo-source.ts';
import { LogFile } from './log-file.ts';
import type { ClientWishes, DrainLimits, Drained, PumpReport, PumpSpec } from './protocol.ts';
import { QuietTimer } from './quiet-timer.ts';

/** containerd's default, in bytes of content. */
const MAX_LINE_SIZE = 16 * 1024;
/**
 * A kill -9 loses what one read had taken and the unfinished line before it: with 48 KiB here and lines of up to 16 KiB no more than
 * 64 KiB of a stream.
 */
const READ_BYTES = 48 * 1024;

/** What the pumps of a thread share: each uses it in one go and leaves nothing in it. */
export class PumpBuffers {
  readonly read = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly records = new ByteBuffer(2 * READ_BYTES);
}

interface Stream {
  readonly source: FifoSource;
  readonly encoder: CriLogEncoder;
}

/**
 * Brings one container's output from its FIFOs to its log file, to those who are attached, and to an ExecSync, and holds its
 * stdin open.
 *
 * ```
 * pumping ──drain──▶ draining ──all streams ended, quiet, timeout──▶ finished
 *    └───────────────────┴─────────────stop─────────────────────────▲
 * ```
 */
export class Pump {
  readonly #spec: PumpSpec;
  readonly #buffers: PumpBuffers;
  readonly #report: (report: PumpReport) => void;
  readonly #log: LogFile | undefined;
  readonly #collector: ExecOutputCollector | undefined;
  readonly #stdin: FifoSink | undefined;
  readonly #streams = new Map<OutputStream, Stream>();
  readonly #clients = new Set<Client>();
  readonly #finished: Promise<Drained>;
  #resolveFinished: (drained: Drained) => void = () => undefined;
  #draining = false;
  #isFinished = false;
  #quiet: QuietTimer | undefined;
  /** Never begun anew. */
  #timeout: QuietTimer | undefined;

  /** Opens the log file and the FIFOs; throws what the file system says, and has nothing open then. */
  constructor(spec: PumpSpec, buffers: PumpBuffers, report: (report: PumpReport) => void) {
    this.#spec = spec;
    this.#buffers = buffers;
    this.#report = report;
    this.#finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    this.#collector =
      spec.collectBytes === undefined ? undefined : new ExecOutputCollector(spec.collectBytes);
    this.#log =
      spec.logPath === undefined
        ? undefined
        : new LogFile(spec.logPath, (of) => report({ id: spec.id, ...of }));
    try {
      if (spec.running !== true) this.#log?.open();
      this.#stdin = spec.stdin === undefined ? undefined : new FifoSink(spec.stdin);
      this.#openStream('stdout', spec.stdout);
      this.#openStream('stderr', spec.terminal ? undefined : spec.stderr);
    } catch (error) {
      this.#finish(false);
      throw error;
    }
  }

  /** Goes on in a new log file, after a rotation. Throws what the file system says and stays with the old one. */
  reopen(): void {
    this.#log?.open();
  }

  attach(port: MessagePort, wishes: ClientWishes): void {
    const client: Client = new Client(port, wishes, this.#stdin, {
      stdinEnd: () => {
        if (this.#spec.stdinOnce === true && !this.#spec.terminal) this.#stdin?.end();
      },
      closed: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
  }

  /** The task has exited: reads what is left and finishes. A repeated call waits for the first one's end. */
  drain(limits: DrainLimits): Promise<Drained> {
    if (this.#draining || this.#isFinished) return this.#finished;
    this.#draining = true;
    const { quietMs, timeoutMs } = limits;
    if (timeoutMs !== undefined) this.#timeout = new QuietTimer(timeoutMs, () => this.#finish(false));
    if (quietMs !== undefined) this.#quiet = new QuietTimer(quietMs, () => this.#finish(false));
    for (const { source } of this.#streams.values()) source.release();
    this.#finishIfEnded();
    return this.#finished;
  }

  /** Stops reading now. What was read is written; what is still in the FIFOs is left to whoever opens them next. */
  stop(): void {
    this.#finish(false);
  }

  #openStream(stream: OutputStream, path: string | undefined): void {
    if (path === undefined) return;
    const encoder = new CriLogEncoder(stream, this.#spec.maxLineSize ?? MAX_LINE_SIZE);
    const source = new FifoSource(path, this.#buffers.read, {
      data: (chunk) => this.#take(stream, encoder, chunk),
      end: (error) => this.#ended(stream, error),
    });
    this.#streams.set(stream, { source, encoder });
  }

  #take(stream: OutputStream, encoder: CriLogEncoder, chunk: Buffer): void {
    this.#quiet?.refresh();
    if (this.#log !== undefined) {
      const { records } = this.#buffers;
      encoder.encode(chunk, nowNanos(), records);
      this.#writeRecords(this.#log);
    }
    this.#collector?.write(stream, chunk);
    for (const client of this.#clients) client.write(stream, chunk);
  }

  #writeRecords(log: LogFile): void {
    const { records } = this.#buffers;
    if (records.length > 0) log.write(records.view());
    records.clear();
  }

  #ended(stream: OutputStream, error: Error | undefined): void {
    if (error !== undefined) {
      this.#report({ id: this.#spec.id, kind: 'read-failed', stream, error: messageOf(error) });
    }
    if (this.#draining) this.#finishIfEnded();
  }

  #finishIfEnded(): void {
    if ([...this.#streams.values()].every(({ source }) => source.ended)) this.#finish(true);
  }

  #finish(complete: boolean): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#quiet?.stop();
    this.#timeout?.stop();
    this.#stdin?.close();
    for (const { source, encoder } of this.#streams.values()) {
      source.close();
      if (this.#log === undefined) continue;
      encoder.end(nowNanos(), this.#buffers.records);
      this.#writeRecords(this.#log);
    }
    this.#log?.close();
    for (const client of this.#clients) client.end();
    const output = this.#collector?.output();
    this.#resolveFinished({ complete, ...(output !== undefined && { output }) });
  }
}
