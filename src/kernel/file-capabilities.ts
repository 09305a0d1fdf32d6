/** The capabilities of a program file, which execve(2) gives to its process: see capabilities(7). */
import { lgetxattr, lsetxattr } from './libc.ts';

const ATTRIBUTE = 'security.capability';
/** struct vfs_ns_cap_data (linux/capability.h). Its revision is the highest byte of the first number, which has flags below. */
const BYTES = 24;
const REVISION_AT = 3;
const REVISION_WITH_ROOT = 3;
const ROOT_AT = 20;

/** The attribute with a file's capabilities; undefined when it has none. Blocks. */
export function fileCapabilities(path: string): Buffer | undefined {
  const buffer = Buffer.alloc(BYTES);
  const length = lgetxattr(path, ATTRIBUTE, buffer);
  return length === 0 ? undefined : buffer.subarray(0, length);
}

/** Gives a file the capabilities of an attribute instead of its own. Blocks. */
export function setFileCapabilities(path: string, attribute: Buffer): void {
  lsetxattr(path, ATTRIBUTE, attribute);
}

/**
 * The same capabilities as a user namespace would have set them itself: of revision 3, which tells whose root gave them, so that they
 * count there and below, and not on the node as those of revision 2 do.
 * @param outside the id that a user of the attribute's own namespace is to have.
 */
export function capabilitiesInNamespace(attribute: Buffer, outside: (uid: number) => number): Buffer {
  const hasRoot = attribute.readUInt8(REVISION_AT) === REVISION_WITH_ROOT;
  const mapped = Buffer.alloc(BYTES);
  attribute.copy(mapped);
  mapped.writeUInt8(REVISION_WITH_ROOT, REVISION_AT);
  mapped.writeUInt32LE(outside(hasRoot ? attribute.readUInt32LE(ROOT_AT) : 0), ROOT_AT);
  return mapped;
}
