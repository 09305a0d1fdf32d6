/**
 * Which address of a CNI result is the pod's one primary IP, and why.
 *
 * 1. Only the first network counts; those of further networks are shown, never reported.
 * 2. Candidates are, by the first of these rules that finds any:
 *    a. addresses on the interface CNI_IFNAME inside the sandbox, and addresses that the result ties to no interface;
 *    b. addresses on the only other interface inside the sandbox;
 *    c. addresses on CNI_IFNAME, when none is inside the sandbox: its plugin leaves out which is where. containerd takes these, too.
 *    Else an interface of the host is never a candidate, whatever its name.
 * 3. `ip_pref` picks one: the first of that family, or with `cni` the first of all; without a match the first of all.
 * 4. The rest follow as additional IPs in the result's order.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Result, ResultInterface } from './cni/types.ts';

export type IpFamily = 'ipv4' | 'ipv6';
export type IpPreference = 'ipv4' | 'ipv6' | 'cni' | 'auto';

/** One address of the result, and what became of it. */
export interface IpCandidate {
  /** With prefix length, as the plugin gave it. */
  address: string;
  family: IpFamily;
  /** Name of the interface; '' when the result ties the address to none. */
  interface: string;
  verdict: 'primary' | 'additional' | 'rejected';
  reason: string;
}

/** The answer with its explanation; kept with the sandbox. */
export interface PrimaryIp {
  ip: string;
  additionalIps: string[];
  preference: IpPreference;
  rule: string;
  candidates: IpCandidate[];
}

interface Found {
  readonly ip: string;
  readonly address: string;
  readonly family: IpFamily;
  readonly interface: ResultInterface | undefined;
}

/** The family of the node's own address, which `auto` prefers: IPv4 if the node has one that is not loopback. */
export function nodeFamily(): IpFamily {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((a) => !a.internal && a.family === 'IPv4') ? 'ipv4' : 'ipv6';
}

/** Chooses by the rules above. Returns undefined when the result has no address inside the sandbox. */
export function choosePrimaryIp(
  result: Result,
  ifName: string,
  preference: IpPreference,
  family: () => IpFamily = nodeFamily,
): PrimaryIp | undefined {
  const found = result.ips.map((ip): Found => {
    const bare = ip.address.split('/')[0] ?? '';
    return {
      ip: canonical(bare),
      address: ip.address,
      family: isIPv4(bare) ? 'ipv4' : 'ipv6',
      interface: ip.interface === undefined ? undefined : result.interfaces[ip.interface],
    };
  });
  const { eligible, rule } = eligibleOf(found, ifName);
  const wanted = preference === 'auto' ? family() : preference;
  const primary = (wanted === 'cni' ? undefined : eligible.find((f) => f.family === wanted)) ?? eligible[0];
  if (primary === undefined) return undefined;
  const rest = eligible.filter((f) => f !== primary);
  return {
    ip: primary.ip,
    additionalIps: rest.map((f) => f.ip),
    preference,
    rule: `${rule}; ${preferenceRule(preference, wanted, primary)}`,
    candidates: found.map((f) => candidate(f, primary, rest, ifName, wanted)),
  };
}

function eligibleOf(found: readonly Found[], ifName: string): { eligible: Found[]; rule: string } {
  const direct = found.filter(
    (f) => f.interface === undefined || (inSandbox(f.interface) && f.interface.name === ifName),
  );
  if (direct.length > 0)
    return { eligible: direct, rule: `addresses on ${ifName} in the sandbox, or on no named interface` };
  const inside = found.filter((f) => f.interface !== undefined && inSandbox(f.interface));
  if (inside.length === 0) {
    const named = found.filter((f) => f.interface?.name === ifName);
    return { eligible: named, rule: `no address in the sandbox; ${ifName} is what was asked for` };
  }
  const names = new Set(inside.map((f) => f.interface?.name));
  if (names.size !== 1) return { eligible: [], rule: '' };
  return {
    eligible: inside,
    rule: `no address on ${ifName}; ${[...names].join()} is the only interface in the sandbox`,
  };
}

function preferenceRule(preference: IpPreference, wanted: IpFamily | 'cni', primary: Found): string {
  const name = preference === 'auto' ? `auto (the node's own family, ${wanted})` : preference;
  if (wanted === 'cni') return 'ip_pref cni takes the first in plugin order';
  if (primary.family === wanted) return `ip_pref ${name} takes the first ${wanted} address`;
  return `ip_pref ${name} finds no ${wanted} address and takes the first of all`;
}

function candidate(
  found: Found,
  primary: Found,
  rest: readonly Found[],
  ifName: string,
  wanted: IpFamily | 'cni',
): IpCandidate {
  const facts = { address: found.address, family: found.family, interface: found.interface?.name ?? '' };
  if (found === primary) return { ...facts, verdict: 'primary', reason: 'chosen' };
  if (rest.includes(found)) {
    const reason =
      wanted !== 'cni' && found.family !== wanted ? `ip_pref prefers ${wanted}` : 'comes later in the result';
    return { ...facts, verdict: 'additional', reason };
  }
  const reason =
    found.interface !== undefined && !inSandbox(found.interface)
      ? 'its interface belongs to the host'
      : `its interface is not ${ifName}`;
  return { ...facts, verdict: 'rejected', reason };
}

function inSandbox(link: ResultInterface): boolean {
  return link.sandbox !== undefined && link.sandbox !== '';
}

/** The one spelling of an address: IPv6 in its short form. */
function canonical(ip: string): string {
  return isIPv6(ip) ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip;
}
