import type { FileVerdict } from './directory.ts';
import type { Snapshot } from './selection.ts';

/** What the CRI's NetworkReady condition says. */
export interface Readiness {
  readonly ready: boolean;
  /** '' when there is nothing to tell. */
  readonly reason: '' | 'NetworkPluginNotReady' | 'CNIStatusTimeout' | 'IPAddressesExhausted';
  /** Directory, files and their verdicts; in words that people look for when there is a reason. */
  readonly message: string;
}

/** What the last STATUS probe found. */
export interface StatusVerdict {
  readonly ok: boolean;
  /** The network that was asked last; '' before the first probe. */
  readonly network: string;
  /** The plugin's error text; '' when ok. */
  readonly error: string;
  /** CNI code, 0 when there is none. 50: no ADD can work; 51: existing containers may be cut off as well. */
  readonly code: number;
  readonly isTimeout: boolean;
  /** Set when nothing fails but that a range has no address left. */
  readonly isExhausted: boolean;
  /** RFC 3339; '' before the first probe. */
  readonly at: string;
}

const MAX_MESSAGE = 3500;

/**
 * The network is ready when one is in use and its plugins did not say otherwise. Before the first answer of a probe it counts as
 * ready: most plugins have nothing to say, and a node must not wait for it. So does one whose addresses are all in use, since
 * kubelet syncs no pod, not even one that runs, while the network is not ready, and the node's pods are evicted.
 */
export function readinessOf(snapshot: Snapshot, status: StatusVerdict | undefined): Readiness {
  const files = describe(snapshot);
  if (snapshot.networks.length === 0) {
    return notReady('NetworkPluginNotReady', `cni plugin not initialized: no network is in use, ${files}`);
  }
  if (status === undefined || status.ok) return { ready: true, reason: '', message: bounded(files) };
  if (status.isExhausted) {
    const message = bounded(`network "${status.network}" is full: ${status.error}; ${files}`);
    return { ready: true, reason: 'IPAddressesExhausted', message };
  }
  const problem = status.isTimeout ? 'STATUS was not answered' : 'STATUS';
  const code = status.code === 0 ? '' : ` (code ${status.code})`;
  return notReady(
    status.isTimeout ? 'CNIStatusTimeout' : 'NetworkPluginNotReady',
    `network "${status.network}" is not ready: ${problem}: ${status.error}${code}; ${files}`,
  );
}

function describe(snapshot: Snapshot): string {
  const { dir, exists, verdicts, error } = snapshot;
  if (error !== '') return error;
  if (!exists) return `${dir} does not exist`;
  if (verdicts.length === 0) return `${dir} has no .conflist, .conf or .json file`;
  return `${dir}: ${verdicts.map((verdict) => describeFile(verdict, snapshot.generation)).join('; ')}`;
}

function describeFile({ file, verdict, reason }: FileVerdict, generation: number): string {
  if (verdict === 'active') return `${file}: active, generation ${generation}`;
  return reason === '' ? `${file}: ${verdict}` : `${file}: ${verdict} (${reason})`;
}

function notReady(reason: 'NetworkPluginNotReady' | 'CNIStatusTimeout', message: string): Readiness {
  return { ready: false, reason, message: bounded(message) };
}

function bounded(message: string): string {
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)}…`;
}
