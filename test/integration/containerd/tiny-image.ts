import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { hostPlatform } from '../../../src/containerd/platform.ts';
import type { Served } from './registry.ts';

/**
 * A file with its content, a link with its target, another name of a file that comes before it, or a directory; 0755 and root's unless
 * it says otherwise.
 */
export type Entry = (
  | { readonly content: Buffer | string }
  | { readonly link: string }
  | { readonly hardLink: string }
  | { readonly directory: true }
) & {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Its extended attribute `security.capability`. */
  readonly capabilities?: Buffer;
};

/** What an image has beside the busybox. */
export interface ImageOptions {
  /** Keys of the image configuration's `config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Layers on top, from the bottom up. */
  readonly layers?: readonly Readonly<Record<string, Entry>>[];
  /** Of the uppermost layer, in the manifest. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of the manifest itself. */
  readonly marks?: Readonly<Record<string, string>>;
  /** A tar archive that is its one layer, instead of all others. */
  readonly archive?: Buffer;
  /** For this architecture alone: then an index says so. */
  readonly architecture?: string;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface TinyImage {
  /** An OCI image archive, as `ctr images import` takes it. */
  readonly archive: Buffer;
  readonly diffIds: readonly string[];
  /** Digest of the configuration: what the CRI calls the image's id. */
  readonly id: string;
  /** The same for a registry. */
  readonly served: Served;
}

const APPLETS = ['sh', 'sleep', 'echo', 'cat', 'true', 'false', 'id', 'stty'];

/** Two layers, the first of them compressed: a static busybox with some of its names, and a greeting. */
export function tinyImage(name: string, options: ImageOptions = {}): TinyImage {
  const files = new Map<string, Entry>();
  const blobs = new Map<string, Buffer>();
  const add = (mediaType: string, content: Buffer): Blob => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    files.set(`blobs/${digest.replace(':', '/')}`, { content });
    return { mediaType, digest, size: content.length };
  };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const applets = APPLETS.map((applet): [string, Entry] => [`bin/${applet}`, { link: 'busybox' }]);
  const bottom = tar(new Map([['bin/busybox', { content: readFileSync('/bin/busybox') }], ...applets]));
  const top = tar(new Map([['etc/greeting', { content: Buffer.from('hello\n') }]]));
  const more = (options.layers ?? []).map((layer) => tar(new Map(Object.entries(layer))));
  const [lowest = bottom, ...upper] = options.archive ? [options.archive] : [bottom, top, ...more];
  const diffIds = [lowest, ...upper].map(digestOf);
  const { os } = hostPlatform();
  const { architecture = hostPlatform().architecture } = options;
  const config = add(
    'application/vnd.oci.image.config.v1+json',
    json({
      os,
      architecture,
      config: {
        Cmd: ['/bin/sh'],
        Env: ['PATH=/bin'],
        User: '0:0',
        WorkingDir: '/etc',
        Volumes: null,
        ...options.config,
      },
      rootfs: { type: 'layers', diff_ids: diffIds },
    }),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const layers = [
    add('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(lowest, { level: 1 })),
    ...upper.map((layer) => add('application/vnd.oci.image.layer.v1.tar', layer)),
  ].map((layer, at, { length }) =>
    at < length - 1 ? layer : { ...layer, annotations: options.annotations },
  );
  const manifest = add(
    mediaType,
    json({ schemaVersion: 2, mediaType, config, layers, annotations: options.marks }),
  );
  const annotations = { 'io.containerd.image.name': name };
  const indexType = 'application/vnd.oci.image.index.v1+json';
  const index = {
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [{ ...manifest, platform: { os, architecture } }],
  };
  const target = options.architecture === undefined ? manifest : add(indexType, json(index));
  files.set('oci-layout', { content: json({ imageLayoutVersion: '1.0.0' }) });
  files.set('index.json', { content: json({ schemaVersion: 2, manifests: [{ ...target, annotations }] }) });
  const content = blobs.get(manifest.digest) ?? Buffer.alloc(0);
  const served = { manifest: { digest: manifest.digest, mediaType, content }, blobs };
  return { archive: tar(files), diffIds, id: config.digest, served };
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

const BLOCK = 512;

function tar(files: ReadonlyMap<string, Entry>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, entry] of files) {
    const content = Buffer.from('content' in entry ? entry.content : '');
    if (entry.capabilities !== undefined) {
      const attributes = extendedRecord('SCHILY.xattr.security.capability', entry.capabilities);
      parts.push(header(name, attributes.length, entry, { type: 'x', link: '' }), padded(attributes));
    }
    parts.push(header(name, content.length, entry), padded(content));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** A record of a pax header, `LENGTH KEY=VALUE\n`; the length counts its own digits. */
function extendedRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  const digits = String(rest.length + String(rest.length).length).length;
  return Buffer.concat([Buffer.from(String(rest.length + digits)), rest]);
}

function kindOf(entry: Entry): { type: string; link: string } {
  if ('content' in entry) return { type: '0', link: '' };
  if ('hardLink' in entry) return { type: '1', link: entry.hardLink };
  if ('link' in entry) return { type: '2', link: entry.link };
  return { type: '5', link: '' };
}

/** A ustar header: octal numbers, checksum over the header with the checksum field as blanks. */
function header(name: string, size: number, entry: Entry, { type, link } = kindOf(entry)): Buffer {
  const { mode = 0o755, uid = 0, gid = 0 } = entry;
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(name, 0);
  block.write(octal(mode, 8), 100);
  block.write(octal(uid, 8), 108);
  block.write(octal(gid, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(link, 157);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
