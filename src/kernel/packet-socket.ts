/** Sockets that send and see whole Ethernet frames (packet(7)). */
import { endianness } from 'node:os';
import {
  AF_PACKET,
  attachFilter,
  bind,
  close,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  socket,
} from './libc.ts';

const ETH_P_IP = 0x0800;
/** struct sockaddr_ll. */
const SOCKADDR_LL = 20;
const isLittleEndian = endianness() === 'LE';

/** One instruction of classic BPF: code, jumps when true and when false, operand. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number];

/** A program as the kernel takes it: an array of struct sock_filter. */
export function filterProgram(instructions: readonly Instruction[]): Uint8Array {
  const program = new DataView(new ArrayBuffer(8 * instructions.length));
  for (const [index, [code, jt, jf, k]] of instructions.entries()) {
    program.setUint16(8 * index, code, isLittleEndian);
    program.setUint8(8 * index + 2, jt);
    program.setUint8(8 * index + 3, jf);
    program.setUint32(8 * index + 4, k, isLittleEndian);
  }
  return new Uint8Array(program.buffer);
}

/**
 * A socket for the IPv4 frames of one link that pass the filter, not blocking, in the calling thread's network namespace. It sees
 * none of its own frames. The descriptor is the whole process's: it may be used by any thread and is to be closed with close().
 */
export function openPacketSocket(linkIndex: number, filter: Uint8Array): number {
  // No protocol yet: nothing is seen before the filter is there.
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  try {
    attachFilter(fd, filter);
    bind(fd, linkAddress(linkIndex));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function linkAddress(index: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(SOCKADDR_LL));
  address.setUint16(0, AF_PACKET, isLittleEndian);
  address.setUint16(2, ETH_P_IP);
  address.setInt32(4, index, isLittleEndian);
  return new Uint8Array(address.buffer);
}
