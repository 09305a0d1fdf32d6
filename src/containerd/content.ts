import { createHash } from 'node:crypto';
import type { Info__Output } from '../gen/containerd/services/content/v1/Info.ts';
import { BerthError } from '../lib/errors.ts';
import type { CallOptions, Connection } from './connection.ts';
import { fromTimestamp } from './timestamp.ts';
import type { Labels } from './types.ts';

/** What a manifest or an image's configuration may have: far more than any has, far less than would hurt. */
const DOCUMENT_MAX = 8 * 1024 * 1024;
const CHUNK = 1024 * 1024;

export interface ContentInfo {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly labels: Labels;
}

/** containerd's blobs by digest. */
export class Content {
  readonly #connection: Connection;
  readonly #rpc;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#rpc = connection.api.services.content.v1.Content.service;
  }

  /** Throws NOT_FOUND. */
  async info(digest: string, options?: CallOptions): Promise<ContentInfo> {
    const { info } = await this.#connection.unary(this.#rpc.Info, { digest }, options);
    return toInfo(info);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<ContentInfo[]> {
    const found: ContentInfo[] = [];
    for await (const { info } of this.#connection.stream(
      this.#rpc.List,
      { filters: [...filters] },
      options,
    )) {
      found.push(...info.map(toInfo));
    }
    return found;
  }

  /** A blob of any size, piece by piece; its digest is not checked. Throws NOT_FOUND. */
  async *pieces(digest: string, options: CallOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    const call = { timeoutMs: Infinity, ...options };
    for await (const { data } of this.#connection.stream(this.#rpc.Read, { digest }, call)) yield data;
  }

  /** A small blob as a whole, its digest checked. Throws NOT_FOUND, RESOURCE_EXHAUSTED for one that is too large. */
  async read(digest: string, options: CallOptions & { maxBytes?: number } = {}): Promise<Buffer> {
    const { maxBytes = DOCUMENT_MAX, ...call } = options;
    const parts: Buffer[] = [];
    let size = 0;
    for await (const { data } of this.#connection.stream(this.#rpc.Read, { digest }, call)) {
      size += data.length;
      if (size > maxBytes) {
        throw new BerthError('RESOURCE_EXHAUSTED', `content "${digest}" has more than ${maxBytes} bytes`);
      }
      parts.push(data);
    }
    const blob = Buffer.concat(parts);
    if (digest.startsWith('sha256:') && digestOf(blob) !== digest) {
      throw new BerthError('INTERNAL', `content "${digest}" is damaged: its digest is ${digestOf(blob)}`);
    }
    return blob;
  }

  /**
   * Stores a blob and returns its digest; one that is there already is success. Unless a lease, a label or an image holds
   * it, the garbage collector takes it.
   */
  async write(blob: Buffer, labels: Labels = {}, options?: CallOptions): Promise<string> {
    const digest = digestOf(blob);
    const last = {
      action: 'COMMIT' as const,
      total: blob.length,
      offset: blob.length,
      expected: digest,
      labels: { ...labels },
    };
    const requests = [...chunksOf(blob), last].map((request) => ({ ...request, ref: `berth-${digest}` }));
    try {
      await this.#connection.exchange(this.#rpc.Write, requests, options);
    } catch (error) {
      if (!(error instanceof BerthError && error.code === 'ALREADY_EXISTS')) throw error;
      await this.label(digest, labels, options);
    }
    return digest;
  }

  /**
   * Stores a blob of any size, as write() does, and returns its digest and size. What was sent before a failure goes with the lease.
   *
   * @param ref no other write may have it meanwhile.
   */
  async writePieces(
    pieces: AsyncIterable<Buffer>,
    ref: string,
    options: CallOptions & { readonly lease: string },
  ): Promise<{ digest: string; size: number }> {
    const hash = createHash('sha256');
    let size = 0;
    const requests = async function* () {
      for await (const data of pieces) {
        yield { action: 'WRITE' as const, ref, offset: size, data };
        hash.update(data);
        size += data.length;
      }
      yield { action: 'COMMIT' as const, ref, offset: size, total: size };
    };
    try {
      await this.#connection.exchange(this.#rpc.Write, requests(), { timeoutMs: Infinity, ...options });
    } catch (error) {
      if (!(error instanceof BerthError && error.code === 'ALREADY_EXISTS')) throw error;
    }
    return { digest: `sha256:${hash.digest('hex')}`, size };
  }

  /** Sets these labels and leaves the others. Throws NOT_FOUND. */
  async label(digest: string, labels: Labels, options?: CallOptions): Promise<void> {
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return;
    const request = { info: { digest, labels: { ...labels } }, updateMask: { paths } };
    await this.#connection.unary(this.#rpc.Update, request, options);
  }

  /** Throws NOT_FOUND. */
  async delete(digest: string, options?: CallOptions): Promise<void> {
    await this.#connection.unary(this.#rpc.Delete, { digest }, options);
  }
}

/** A blob's digest as OCI writes it. */
export function digestOf(blob: Buffer | string): string {
  return `sha256:${createHash('sha256').update(blob).digest('hex')}`;
}

function* chunksOf(
  blob: Buffer,
): Generator<{ action: 'WRITE'; total: number; offset: number; data: Buffer }> {
  for (let offset = 0; offset < blob.length; offset += CHUNK) {
    yield {
      action: 'WRITE',
      total: blob.length,
      offset,
      data: blob.subarray(offset, offset + CHUNK),
    };
  }
}

function toInfo(wire: Info__Output | null): ContentInfo {
  if (wire === null) throw new BerthError('INTERNAL', 'containerd answered without the content');
  const { digest, size, createdAt, labels } = wire;
  return { digest, size: Number(size), createdAt: fromTimestamp(createdAt), labels };
}
