import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The name that the image is imported under. */
export const pauseImage = 'berth.local/bench/pause:1';

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * An OCI image archive whose only file is a static pause program, so that containerd's CRI can be measured on a machine that
 * reaches no registry. `program` is a path on this machine.
 */
export function pauseImageArchive(program: string): Buffer {
  const files = new Map<string, Buffer>();
  const add = (mediaType: string, content: Buffer): Blob => {
    const hex = createHash('sha256').update(content).digest('hex');
    files.set(`blobs/sha256/${hex}`, content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const layer = add(
    'application/vnd.oci.image.layer.v1.tar',
    tar(new Map([['pause', readFileSync(program)]])),
  );
  const config = add(
    'application/vnd.oci.image.config.v1+json',
    json({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Entrypoint: ['/pause', '-P'] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
  );
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = add(
    manifestType,
    json({ schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }),
  );
  const annotations = { 'io.containerd.image.name': pauseImage };
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  files.set('index.json', json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
  return tar(files);
}

const BLOCK = 512;

function tar(files: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, content] of files) {
    parts.push(
      header(name, content.length),
      content,
      Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK),
    );
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** A ustar header: octal numbers, checksum over the header with the checksum field as blanks. */
function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(name, 0);
  block.write(octal(0o755, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
