import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { hostPlatform } from '../../../src/containerd/platform.ts';
import { type Entry, tar } from './tar.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A layer, packed and unpacked digests with it. Images may share one. */
export interface Layer {
  readonly diffId: string;
  readonly packed: Buffer;
}

/** An image as a registry serves it. */
export interface Image {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: Buffer;
  /** Configuration and layers by digest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

/** The `config` object of an image configuration (OCI image-spec), as far as critest looks at it. */
export interface RunConfig {
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly User?: string;
}

export function makeLayer(entries: ReadonlyMap<string, Entry>): Layer {
  const unpacked = tar(entries);
  return { diffId: digestOf(unpacked), packed: gzipSync(unpacked, { level: 6 }) };
}

/** Equal layers and configuration make an image of equal digest, on any day and machine. */
export function makeImage(config: RunConfig, layers: readonly Layer[]): Image {
  const blobs = new Map<string, Buffer>();
  const add = (mediaType: string, content: Buffer): object => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  };
  const { os, architecture } = hostPlatform();
  const document = {
    created: new Date(0).toISOString(),
    os,
    architecture,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...config },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: add(CONFIG, Buffer.from(JSON.stringify(document))),
      layers: layers.map(({ packed }) => add(LAYER, packed)),
    }),
  );
  return { digest: digestOf(manifest), mediaType: MANIFEST, manifest, blobs };
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
