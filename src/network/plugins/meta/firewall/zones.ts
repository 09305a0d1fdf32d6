import { messageOf } from '../../../../lib/errors.ts';
import type { Result } from '../../../cni/types.ts';
import { bits, formatAddress, parseCidr } from '../../address.ts';
import { failure } from '../../config.ts';
import type { PluginContext } from '../../plugin.ts';
import { tryAll, withUndo } from '../../undo.ts';
import { type Firewalld, FirewalldRefusal } from './firewalld.ts';

/** The container's addresses as firewalld's sources: hosts, with the prefix length that says so. */
function sourcesOf({ ips }: Result): string[] {
  return ips.flatMap(({ address }) => {
    const cidr = parseCidr(address);
    return cidr === undefined ? [] : [`${formatAddress(cidr.address)}/${bits(cidr.address.family)}`];
  });
}

/** Puts the container's addresses into the zone, then does the rest; all of them, or those that were there before. */
export function enterZone(
  firewalld: Firewalld,
  zone: string,
  result: Result,
  context: PluginContext,
  rest: () => void,
): void {
  withUndo(context, (undo) => {
    for (const source of sourcesOf(result)) {
      const takeBack = (): void => firewalld.removeSource(zone, source);
      try {
        if (firewalld.addSource(zone, source)) undo.push(takeBack);
      } catch (error) {
        // Without an answer it may have been done.
        if (!(error instanceof FirewalldRefusal)) undo.push(takeBack);
        throw failure(`failed to add the address ${source} to ${zone} zone: ${messageOf(error)}`);
      }
    }
    rest();
  });
}

/** Takes the container's addresses out of the zone; every one is tried. */
export function leaveZone(firewalld: Firewalld, zone: string, result: Result): void {
  const steps = sourcesOf(result).map((source) => (): void => {
    try {
      firewalld.removeSource(zone, source);
    } catch (error) {
      throw failure(`failed to remove the address ${source} from ${zone} zone: ${messageOf(error)}`);
    }
  });
  tryAll(...steps);
}

/** Throws CniError when an address is not in the zone. */
export function checkZone(firewalld: Firewalld, zone: string, result: Result): void {
  for (const source of sourcesOf(result)) {
    let why = '';
    try {
      if (firewalld.hasSource(zone, source)) continue;
    } catch (error) {
      why = `: ${messageOf(error)}`;
    }
    throw failure(`failed to find the address ${source} in ${zone} zone${why}`);
  }
}
