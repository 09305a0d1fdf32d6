/** Routes. */
import { SyscallError } from '../errno.ts';
import { AF_INET, type AF_INET6 } from '../libc.ts';
import { afterHeader, decodeAttributes, encodeAttributes, type Message, writeByte } from './codec.ts';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Rtm } from './constants.ts';
import { familyOf, formatIp, parsePrefix } from './ip.ts';
import type { NetlinkSocket, Request } from './socket.ts';

export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
/** On deletion: whatever the route's scope. */
export const RT_SCOPE_NOWHERE = 255;
/** Those that come with an address. */
export const RTPROT_KERNEL = 2;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RTNH_F_ONLINK = 4;

const HEADER = 12;

const ROUTE = {
  destination: [1, 'ip'],
  link: [4, 'u32'],
  gateway: [5, 'ip'],
  priority: [6, 'u32'],
  source: [7, 'ip'],
  metrics: [8, 'nest', { mtu: [2, 'u32'], advmss: [8, 'u32'] }],
  table: [15, 'u32'],
} as const;

export interface Route {
  /** With prefix length; `0.0.0.0/0` and `::/0` for default routes. */
  readonly destination: string;
  /** Outgoing link; 0 when there are several next hops. */
  readonly index: number;
  /** '' for none. */
  readonly gateway: string;
  /** Preferred source address; '' for none. */
  readonly source: string;
  readonly priority: number;
  readonly table: number;
  readonly scope: number;
  readonly protocol: number;
  /** 1 unicast, 2 local, 3 broadcast… */
  readonly type: number;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
}

export interface RouteSpec {
  readonly destination: string;
  readonly index?: number | undefined;
  readonly gateway?: string | undefined;
  readonly source?: string | undefined;
  readonly priority?: number | undefined;
  /** The main one by default. */
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  /** Who made it, such as 2 for the kernel; boot by default. */
  readonly protocol?: number | undefined;
  /** The gateway is reached over the link even though no route says so. */
  readonly onlink?: boolean | undefined;
}

function request(type: number, flags: number, spec: RouteSpec): Request {
  const { bytes, length } = parsePrefix(spec.destination);
  const table = spec.table ?? RT_TABLE_MAIN;
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(familyOf(bytes), 0);
  header.writeUInt8(length, 1);
  // The header's field is a byte: greater numbers stand in the attribute alone.
  const isSmall = table >= 0 && table <= 255;
  header.writeUInt8(isSmall ? table : 0, 4);
  header.writeUInt8(spec.protocol ?? (type === Rtm.DELROUTE ? 0 : RTPROT_BOOT), 5);
  writeByte(header, 6, 'scope', spec.scope ?? RT_SCOPE_UNIVERSE);
  header.writeUInt8(RTN_UNICAST, 7);
  header.writeUInt32LE(spec.onlink === true ? RTNH_F_ONLINK : 0, 8);
  const { mtu, advmss } = spec;
  const attributes = encodeAttributes(
    {
      destination: length === 0 ? undefined : formatIp(bytes),
      link: spec.index,
      gateway: spec.gateway,
      priority: spec.priority,
      source: spec.source,
      metrics: mtu === undefined && advmss === undefined ? undefined : { mtu, advmss },
      table: isSmall ? undefined : table,
    },
    ROUTE,
  );
  const via = spec.gateway === undefined ? '' : ` via ${spec.gateway}`;
  return { type, flags, payload: Buffer.concat([header, attributes]), subject: `${spec.destination}${via}` };
}

/**
 * Adds a route. `beside` others to the same destination; an IPv6 route joins them as one more next hop. EEXIST for exactly
 * the same route, and with `alone` for any to the same destination with the same priority.
 */
export function newRoute(spec: RouteSpec, mode: 'alone' | 'beside' = 'alone'): Request {
  return request(Rtm.NEWROUTE, NLM_F_CREATE | (mode === 'alone' ? NLM_F_EXCL : 0), spec);
}

/** Appends a route after those to the same destination. */
export function appendRoute(spec: RouteSpec): Request {
  return request(Rtm.NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, spec);
}

export function replaceRoute(spec: RouteSpec): Request {
  return request(Rtm.NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, spec);
}

/** ESRCH when there is none that matches what is given. */
export function deleteRoute(spec: RouteSpec): Request {
  return request(Rtm.DELROUTE, 0, spec);
}

/** What makes a route as it was found again, or names it to be deleted. */
export function specOf(route: Route): RouteSpec {
  const { destination, index, gateway, source, priority, table, scope, protocol, mtu, advmss } = route;
  return {
    destination,
    index,
    gateway: gateway || undefined,
    source: source || undefined,
    priority: priority || undefined,
    table,
    scope,
    protocol,
    mtu,
    advmss,
  };
}

export function parseRoute(message: Message): Route {
  const { payload } = message;
  const attributes = decodeAttributes(afterHeader(payload, HEADER), ROUTE);
  const any = payload.readUInt8(0) === AF_INET ? '0.0.0.0' : '::';
  return {
    destination: `${attributes.destination ?? any}/${payload.readUInt8(1)}`,
    index: attributes.link ?? 0,
    gateway: attributes.gateway ?? '',
    source: attributes.source ?? '',
    priority: attributes.priority ?? 0,
    table: attributes.table ?? payload.readUInt8(4),
    scope: payload.readUInt8(6),
    protocol: payload.readUInt8(5),
    type: payload.readUInt8(7),
    mtu: attributes.metrics?.mtu,
    advmss: attributes.metrics?.advmss,
  };
}

/** Routes of one family in one table; the main one by default, all tables with 0. */
export function listRoutes(
  socket: NetlinkSocket,
  filter: {
    readonly family: typeof AF_INET | typeof AF_INET6;
    readonly table?: number;
    readonly index?: number;
  },
): Route[] {
  const table = filter.table ?? RT_TABLE_MAIN;
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(filter.family, 0);
  const attributes = encodeAttributes({ link: filter.index, table: table === 0 ? undefined : table }, ROUTE);
  const payload = Buffer.concat([header, attributes]);
  return dumpRoutes(socket, { type: Rtm.GETROUTE, flags: 0, payload, subject: 'routes' })
    .filter((message) => message.type === Rtm.NEWROUTE && message.payload.readUInt8(0) === filter.family)
    .map(parseRoute)
    .filter((route) => table === 0 || route.table === table)
    .filter((route) => filter.index === undefined || route.index === filter.index);
}

/** The kernel makes a table with its first route; asked for one before, it answers ENOENT. */
function dumpRoutes(socket: NetlinkSocket, request: Request): readonly Message[] {
  try {
    return socket.dump(request);
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}
