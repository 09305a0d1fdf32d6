/** What a server has granted: an address, and until when. Times are milliseconds on the clock of leases. Pure. */
import { RT_SCOPE_LINK } from '../../../../kernel/netlink/routes.ts';
import type { Result, ResultRoute } from '../../../cni/types.ts';
import { CURRENT_VERSION } from '../../../cni/versions/versions.ts';
import { failure } from '../../config.ts';
import type { Clock, Granted } from './exchange.ts';
import { NO_ADDRESS, Option, type Options } from './message.ts';
import {
  addressesOf,
  classlessRoutes,
  numberOf,
  prefixOf,
  type ServerRoute,
  staticRoutes,
} from './options.ts';

export interface Times {
  /** T1: from then on the server that granted it is asked for more time. */
  readonly renewAt: number;
  /** T2: from then on any server is asked. */
  readonly rebindAt: number;
  readonly expireAt: number;
}

/** A lease without an end. */
const NEVER = Number.MAX_SAFE_INTEGER;
const INFINITE = 0xffff_ffff;
/** When the server names none, as in the reference plugin. */
const DEFAULT_SECONDS = 3_600;
/** A server that means less would be asked without pause. */
const LEAST_SECONDS = 2;

/** The times of a lease that was asked for at `since`; T1 and T2 as the server says, when that makes sense (RFC 2131, 4.4.5). */
export function timesOf(options: Options, since: number): Times {
  const lease = numberOf(options, Option.leaseTime) ?? DEFAULT_SECONDS;
  if (lease === INFINITE) return { renewAt: NEVER, rebindAt: NEVER, expireAt: NEVER };
  const seconds = Math.max(lease, LEAST_SECONDS);
  const within = (code: number, most: number, usual: number): number => {
    const given = numberOf(options, code) ?? 0;
    return given > 0 && given <= most ? given : usual;
  };
  const rebind = within(Option.rebindingTime, seconds, seconds * 0.85);
  const renew = within(Option.renewalTime, rebind, Math.min(seconds / 2, rebind));
  return {
    renewAt: since + 1_000 * renew,
    rebindAt: since + 1_000 * rebind,
    expireAt: since + 1_000 * seconds,
  };
}

/** The times of a lease that a server has taken back. */
export function endedAt(now: number): Times {
  return { renewAt: now, rebindAt: now, expireAt: now };
}

/** The same times on a clock that is so much ahead. */
export function shifted<T extends Times>(times: T, ms: number): T {
  const shift = (at: number): number => (at === NEVER ? NEVER : at + ms);
  const { renewAt, rebindAt, expireAt } = times;
  return { ...times, renewAt: shift(renewAt), rebindAt: shift(rebindAt), expireAt: shift(expireAt) };
}

export type Phase = 'bound' | 'renewing' | 'rebinding' | 'expired';

export function phaseAt({ renewAt, rebindAt, expireAt }: Times, now: number): Phase {
  if (now < renewAt) return 'bound';
  if (now < rebindAt) return 'renewing';
  return now < expireAt ? 'rebinding' : 'expired';
}

export function phaseEnd({ renewAt, rebindAt, expireAt }: Times, phase: Phase): number {
  return { bound: renewAt, renewing: rebindAt, rebinding: expireAt, expired: Number.POSITIVE_INFINITY }[
    phase
  ];
}

const LEAST_PAUSE_MS = 60_000;

/**
 * When a lease that is in use is next to be asked for after `now`: half of what remains of the phase, but not within a minute, and at
 * each change of phase (RFC 2131, 4.4.5).
 */
export function nextRequestAt(times: Times, now: number): number {
  const halfway = (end: number): number => Math.min(end, now + Math.max(LEAST_PAUSE_MS, (end - now) / 2));
  switch (phaseAt(times, now)) {
    case 'bound':
      return times.renewAt;
    case 'renewing':
      return halfway(times.rebindAt);
    case 'rebinding':
      return halfway(times.expireAt);
    case 'expired':
      return now;
  }
}

const QUICK_MS = [250, 750];
const FIRST_MS = 4_000;
const LONGEST_MS = 64_000;
const JITTER_MS = 1_000;

/**
 * How long to wait for an answer to each of one client's messages: 4, 8, 16, 32 and then 64 seconds, each a second more or
 * less (RFC 2131, 4.1). The very first one is sent again twice within a second: a link that has just come up, or the port of a
 * bridge behind it, may not have let it through.
 */
export function* backoff(clock: Pick<Clock, 'random'>, quick = true): Generator<number, never> {
  if (quick) yield* QUICK_MS;
  for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, LONGEST_MS))
    yield ms + JITTER_MS * (2 * clock.random() - 1);
}

/** What ADD answers: the address, its gateway and the routes. Throws a CniError when the address has no subnet mask. */
export function resultOf({ address, options }: Pick<Granted, 'address' | 'options'>): Result {
  const prefix = prefixOf(options);
  if (prefix === undefined) throw failure('DHCP option Subnet Mask not found in DHCPACK');
  const [gateway] = addressesOf(options, Option.routers);
  return {
    cniVersion: CURRENT_VERSION,
    interfaces: [],
    ips: [{ address: `${address}/${prefix}`, ...(gateway === undefined ? {} : { gateway }) }],
    routes: routesOf(options, gateway),
    dns: {},
  };
}

/** Classless routes take the place of all others (RFC 3442). */
function routesOf(options: Options, gateway: string | undefined): ResultRoute[] {
  const classless = classlessRoutes(options);
  if (classless.length > 0) return classless.map(resultRoute);
  const routes = staticRoutes(options).map(resultRoute);
  return gateway === undefined ? routes : [...routes, { dst: '0.0.0.0/0', gw: gateway }];
}

function resultRoute({ destination, gateway }: ServerRoute): ResultRoute {
  const route = { dst: destination, gw: gateway };
  return gateway === NO_ADDRESS ? { ...route, scope: RT_SCOPE_LINK } : route;
}
