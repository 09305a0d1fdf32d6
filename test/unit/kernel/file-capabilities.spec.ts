import assert from 'node:assert/strict';
import { capabilitiesInNamespace } from '../../../src/kernel/file-capabilities.ts';

/** An attribute as the kernel has it, all numbers little endian. */
function attribute(...numbers: number[]): Buffer {
  const buffer = Buffer.alloc(4 * numbers.length);
  for (const [at, number] of numbers.entries()) buffer.writeUInt32LE(number, 4 * at);
  return buffer;
}

const SETS = [0x2400, 0x11, 0x40, 0x1];
const outside = (uid: number): number => (uid < 65_536 ? uid + 200_000 : uid);

describe('file capabilities in a user namespace', () => {
  it("are its root's when they were the node's", () => {
    for (const effective of [0, 1])
      assert.deepEqual(
        capabilitiesInNamespace(attribute(0x0200_0000 | effective, ...SETS), outside),
        attribute(0x0300_0000 | effective, ...SETS, 200_000),
      );
  });

  it("stay those of a namespace's own root, by the id that it has outside", () => {
    for (const [inside, mapped] of [
      [1_000, 201_000],
      [70_000, 70_000],
    ] as const)
      assert.deepEqual(
        capabilitiesInNamespace(attribute(0x0300_0001, ...SETS, inside), outside),
        attribute(0x0300_0001, ...SETS, mapped),
      );
  });
});
