/**
 * DHCP's way over the wire: Ethernet, IPv4 (RFC 791) and UDP (RFC 768) around a message, since an interface without an address has no
 * use of its kernel's sockets. Pure.
 */
import { formatMac, parseMac } from '../../../../kernel/netlink/codec.ts';
import { filterProgram } from '../../../../kernel/packet-socket.ts';
import { encodeIp, formatIp } from './message.ts';

export const CLIENT_PORT = 68;
export const SERVER_PORT = 67;
export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
export const BROADCAST_ADDRESS = '255.255.255.255';

export interface Ends {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
}

const ETHERNET = 14;
const IP = 20;
const UDP = 8;
const ETHERTYPE_IPV4 = 0x0800;
const PROTOCOL_UDP = 17;
const TTL = 64;
/** More fragments, and the offset of one that is not the first. */
const FRAGMENT = 0x3fff;

/** IPv4, UDP, no later fragment, to the client's port: a busy pod's other traffic never reaches the socket. */
export const clientFilter = filterProgram([
  [0x28, 0, 0, 12],
  [0x15, 0, 8, ETHERTYPE_IPV4],
  [0x30, 0, 0, ETHERNET + 9],
  [0x15, 0, 6, PROTOCOL_UDP],
  [0x28, 0, 0, ETHERNET + 6],
  [0x45, 4, 0, 0x1fff],
  [0xb1, 0, 0, ETHERNET],
  [0x48, 0, 0, ETHERNET + 2],
  [0x15, 0, 1, CLIENT_PORT],
  [0x06, 0, 0, 0xffff],
  [0x06, 0, 0, 0],
]);

/** A frame from the client's port to the server's. */
export function encodeFrame(ends: Ends, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(ETHERNET + IP + UDP + payload.length);
  frame.set(parseMac(ends.destinationMac), 0);
  frame.set(parseMac(ends.sourceMac), 6);
  frame.writeUInt16BE(ETHERTYPE_IPV4, 12);
  const ip = frame.subarray(ETHERNET);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(ip.length, 2);
  ip.writeUInt8(TTL, 8);
  ip.writeUInt8(PROTOCOL_UDP, 9);
  ip.set(encodeIp(ends.source), 12);
  ip.set(encodeIp(ends.destination), 16);
  ip.writeUInt16BE(complement(sum(ip.subarray(0, IP))), 10);
  const udp = ip.subarray(IP);
  udp.writeUInt16BE(CLIENT_PORT, 0);
  udp.writeUInt16BE(SERVER_PORT, 2);
  udp.writeUInt16BE(udp.length, 4);
  udp.set(payload, UDP);
  // Zero would say that there is no checksum.
  udp.writeUInt16BE(complement(sum(udp, pseudoSum(ip, udp.length))) || 0xffff, 6);
  return frame;
}

/** What a frame from a server to a client carries; undefined for any other, or one that is damaged. */
export function decodeFrame(bytes: Uint8Array): (Ends & { readonly payload: Buffer }) | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (frame.length < ETHERNET + IP + UDP || frame.readUInt16BE(12) !== ETHERTYPE_IPV4) return undefined;
  const ip = ipPacket(frame.subarray(ETHERNET));
  const udp = ip === undefined ? undefined : udpDatagram(ip.packet, ip.headerLength);
  if (ip === undefined || udp === undefined) return undefined;
  return {
    sourceMac: formatMac(frame.subarray(6, 12)),
    destinationMac: formatMac(frame.subarray(0, 6)),
    source: formatIp(ip.packet, 12),
    destination: formatIp(ip.packet, 16),
    payload: udp.subarray(UDP),
  };
}

/** The packet without what Ethernet padded it with. */
function ipPacket(bytes: Buffer): { packet: Buffer; headerLength: number } | undefined {
  const headerLength = 4 * (bytes.readUInt8(0) & 0x0f);
  const length = bytes.readUInt16BE(2);
  if (bytes.readUInt8(0) >> 4 !== 4 || headerLength < IP) return undefined;
  if (length < headerLength + UDP || length > bytes.length) return undefined;
  if ((bytes.readUInt16BE(6) & FRAGMENT) !== 0 || bytes.readUInt8(9) !== PROTOCOL_UDP) return undefined;
  if (complement(sum(bytes.subarray(0, headerLength))) !== 0) return undefined;
  return { packet: bytes.subarray(0, length), headerLength };
}

function udpDatagram(packet: Buffer, at: number): Buffer | undefined {
  const length = packet.readUInt16BE(at + 4);
  if (length < UDP || at + length > packet.length) return undefined;
  const udp = packet.subarray(at, at + length);
  if (udp.readUInt16BE(0) !== SERVER_PORT || udp.readUInt16BE(2) !== CLIENT_PORT) return undefined;
  const given = udp.readUInt16BE(6);
  const pseudo = pseudoSum(packet, length);
  // From a server on this machine the sum is that of the pseudo header alone: the card that would finish it is never reached.
  const isGood = given === 0 || given === fold(pseudo) || complement(sum(udp, pseudo)) === 0;
  return isGood ? udp : undefined;
}

function pseudoSum(ip: Buffer, length: number): number {
  return sum(ip.subarray(12, 20)) + PROTOCOL_UDP + length;
}

function sum(bytes: Buffer, start = 0): number {
  let total = start;
  for (let at = 0; at + 1 < bytes.length; at += 2) total += bytes.readUInt16BE(at);
  return bytes.length % 2 === 0 ? total : total + 256 * bytes.readUInt8(bytes.length - 1);
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

function complement(total: number): number {
  return ~fold(total) & 0xffff;
}
