/** An entry of a layer: a file, a hard or a symbolic link, or a directory. */
export type Entry =
  | { readonly content: Buffer; readonly mode?: number }
  | { readonly hardLink: string }
  | { readonly symlink: string }
  | { readonly directory: true; readonly mode?: number };

const BLOCK = 512;

/** A tar archive (POSIX ustar) owned by root, with no times in it: equal entries make equal bytes. */
export function tar(entries: ReadonlyMap<string, Entry>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, entry] of entries) {
    const content = 'content' in entry ? entry.content : Buffer.alloc(0);
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    parts.push(header(name, entry, content.length), content, padding);
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, entry: Entry, size: number): Buffer {
  const { type, link, mode } = describe(entry);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(name, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(type, 156);
  block.write(link, 157, 100);
  block.write('ustar\u000000', 257);
  // The checksum counts its own field as blanks.
  block.write(' '.repeat(8), 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function describe(entry: Entry): { type: string; link: string; mode: number } {
  if ('content' in entry) return { type: '0', link: '', mode: entry.mode ?? 0o644 };
  if ('hardLink' in entry) return { type: '1', link: entry.hardLink, mode: 0o755 };
  if ('symlink' in entry) return { type: '2', link: entry.symlink, mode: 0o777 };
  return { type: '5', link: '', mode: entry.mode ?? 0o755 };
}
