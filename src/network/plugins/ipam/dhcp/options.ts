/** What options mean: values of RFC 2132 and RFC 3442, undefined when a server sent something else. */
import { formatIp, Option, type Options } from './message.ts';

/** A route of a server; without a gateway its destination is on the link. */
export interface ServerRoute {
  readonly destination: string;
  readonly gateway: string;
}

function view(value: Uint8Array | undefined): DataView {
  return value === undefined
    ? new DataView(new ArrayBuffer(0))
    : new DataView(value.buffer, value.byteOffset, value.byteLength);
}

export function byteOf(options: Options, code: number): number | undefined {
  const value = options.get(code);
  return value?.length === 1 ? value[0] : undefined;
}

/** Seconds, for instance. */
export function numberOf(options: Options, code: number): number | undefined {
  const value = view(options.get(code));
  return value.byteLength === 4 ? value.getUint32(0) : undefined;
}

export function addressOf(options: Options, code: number): string | undefined {
  const value = options.get(code);
  return value?.length === 4 ? formatIp(value) : undefined;
}

export function addressesOf(options: Options, code: number): string[] {
  const value = options.get(code) ?? new Uint8Array();
  if (value.length % 4 !== 0) return [];
  return Array.from({ length: value.length / 4 }, (_, index) => formatIp(value, 4 * index));
}

/** The text of a server's message; '' when there is none. */
export function textOf(options: Options, code: number): string {
  return Buffer.from(options.get(code) ?? new Uint8Array())
    .toString('utf8')
    .replace(/[^\x20-\x7e]/g, '');
}

/** The prefix length of the subnet mask. */
export function prefixOf(options: Options): number | undefined {
  const mask = numberOf(options, Option.subnetMask);
  if (mask === undefined) return undefined;
  const length = Math.clz32(~mask);
  return mask === maskOf(length) ? length : undefined;
}

function maskOf(length: number): number {
  return length === 0 ? 0 : (-1 << (32 - length)) >>> 0;
}

/** Option 121: width of the destination, its significant bytes, gateway. None at all when one of them is malformed. */
export function classlessRoutes(options: Options): ServerRoute[] {
  const value = options.get(Option.classlessRoutes) ?? new Uint8Array();
  const routes: ServerRoute[] = [];
  for (let at = 0; at < value.length; ) {
    const width = value[at] ?? 0;
    const bytes = Math.ceil(width / 8);
    const end = at + 1 + bytes + 4;
    if (width > 32 || end > value.length) return [];
    const destination = new Uint8Array(4);
    destination.set(value.subarray(at + 1, at + 1 + bytes));
    routes.push({ destination: network(destination, width), gateway: formatIp(value, at + 1 + bytes) });
    at = end;
  }
  return routes;
}

/** Option 33: destinations of the old classes, with their gateways. A rest of less than a pair is not looked at. */
export function staticRoutes(options: Options): ServerRoute[] {
  const value = options.get(Option.staticRoutes) ?? new Uint8Array();
  return Array.from({ length: Math.floor(value.length / 8) }, (_, index) => {
    const destination = value.subarray(8 * index, 8 * index + 4);
    return {
      destination: network(destination, classOf(destination[0] ?? 0)),
      gateway: formatIp(value, 8 * index + 4),
    };
  });
}

function classOf(first: number): number {
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

function network(destination: Uint8Array, width: number): string {
  const masked = new DataView(new ArrayBuffer(4));
  masked.setUint32(0, (view(destination).getUint32(0) & maskOf(width)) >>> 0);
  return `${formatIp(new Uint8Array(masked.buffer))}/${width}`;
}
