/** A host port leads to one container: a second one would silently get or take nothing. */
import { type Address, formatAddress, parseAddress, sameAddress } from '../../address.ts';
import { failure } from '../../config.ts';
import type { Mapping } from './conf.ts';

/** A mapping that is in force. */
export interface LiveMapping {
  readonly containerId: string;
  readonly protocol: string;
  readonly hostPort: number;
  readonly hostIp: Address | undefined;
  /** Where it leads. */
  readonly target: Address;
}

type HostPort = Pick<Mapping, 'protocol' | 'hostIp' | 'hostPort'>;

/** `tcp/8080`, `tcp/127.0.0.1/8080`. */
export function portText({ protocol, hostIp, hostPort }: HostPort): string {
  return hostIp === undefined
    ? `${protocol}/${hostPort}`
    : `${protocol}/${formatAddress(hostIp)}/${hostPort}`;
}

/** True when a packet could be meant for either. */
export function collide(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  return a.hostIp === undefined || b.hostIp === undefined || sameAddress(a.hostIp, b.hostIp);
}

/**
 * Throws when another container has one of the ports already. Rules of another container that lead to our own address are
 * leftovers, since the address is ours now: their owner is gone.
 */
export function refuseConflicts(
  wanted: readonly Mapping[],
  live: readonly LiveMapping[],
  self: { readonly containerId: string; readonly address: Address },
): void {
  const others = live.filter(
    ({ containerId, target }) => containerId !== self.containerId && !sameAddress(target, self.address),
  );
  for (const mapping of wanted) {
    const other = others.find((each) => collide(mapping, each));
    if (other === undefined) continue;
    const target = formatAddress(other.target);
    throw failure(
      `host port ${portText(mapping)} is already mapped to container "${other.containerId}" (${target})`,
    );
  }
}

/** Containers whose rules lead to our address: leftovers, to be removed with the same transaction. */
export function staleOwners(
  live: readonly LiveMapping[],
  self: { readonly containerId: string; readonly address: Address },
): string[] {
  const stale = live.filter(
    ({ containerId, target }) => containerId !== self.containerId && sameAddress(target, self.address),
  );
  return [...new Set(stale.map(({ containerId }) => containerId))];
}

/** Throws when a port is still held by the rules of a container that is gone. */
export function refuseWithheld(wanted: readonly Mapping[], withheld: readonly string[]): void {
  const held = withheld.map(parseWithheld);
  const mapping = wanted.find((each) => held.some((other) => collide(each, other)));
  if (mapping === undefined) return;
  const reason = 'the rules of a removed container that could not be taken down yet still hold it';
  throw failure(`host port ${portText(mapping)} is withheld: ${reason}`);
}

function parseWithheld(text: string): HostPort {
  const parts = text.split('/');
  const hostIp = parts.length > 2 ? parseAddress(parts.slice(1, -1).join('/')) : undefined;
  const isAny = hostIp === undefined || hostIp.value === 0n;
  return { protocol: parts[0] ?? '', hostPort: Number(parts.at(-1)), hostIp: isAny ? undefined : hostIp };
}
