/**
 * Which networks are in use, given what the directory holds and what was in use before.
 *
 *   the first max_conf_num files in lexicographic order are active; the others are unused.
 *   a bad file is passed over, unless its network was in use: then its last good version stays (stale),
 *   because pods must not end up on another network since somebody writes a file.
 *   a file that was deleted is no reason to keep its network.
 */
import type { NetworkList } from '../types.ts';
import type { DirectoryContent, FileVerdict, LoadedFile } from './directory.ts';

export interface ActiveNetwork {
  readonly file: string;
  readonly network: NetworkList;
  /** RFC 3339: the file is bad since then. */
  readonly staleSince?: string;
}

/** The state of a configuration directory; never changed once made. */
export interface Snapshot {
  /** Grows by one each time that the networks in use change; 0 before the first one. */
  readonly generation: number;
  /** RFC 3339 time of the last change of the networks in use. */
  readonly since: string;
  readonly dir: string;
  readonly exists: boolean;
  /** In order of preference. */
  readonly networks: readonly ActiveNetwork[];
  readonly verdicts: readonly FileVerdict[];
  /** Why the directory could not be read; '' when it could. */
  readonly error: string;
}

export function emptySnapshot(dir: string, now: string): Snapshot {
  return { generation: 0, since: now, dir, exists: false, networks: [], verdicts: [], error: '' };
}

/** The next snapshot. `maxConfNum` 0 means all files. `remembered` counts as in use before, after what is in `previous`. */
export function select(
  content: DirectoryContent,
  previous: Snapshot,
  maxConfNum: number,
  now: string,
  remembered: readonly ActiveNetwork[] = [],
): Snapshot {
  const limit = maxConfNum === 0 ? Infinity : maxConfNum;
  const networks: ActiveNetwork[] = [];
  const verdicts = content.files.map((loaded): FileVerdict => {
    const { file } = loaded;
    const before = [...previous.networks, ...remembered].find((active) => active.file === file);
    const candidate = candidateOf(loaded, before, now);
    if (candidate === undefined) return { file, verdict: 'rejected', reason: errorOf(loaded) };
    const twin = networks.find((active) => active.network.name === candidate.network.name);
    if (twin !== undefined)
      return { file, verdict: 'rejected', reason: `the network name is taken by ${twin.file}` };
    if (networks.length >= limit) {
      if ('error' in loaded) return { file, verdict: 'rejected', reason: loaded.error };
      return { file, verdict: 'unused', reason: unusedReason(limit, networks) };
    }
    networks.push(candidate);
    if (candidate.staleSince === undefined) return { file, verdict: 'active', reason: '' };
    const reason = `${errorOf(loaded)}; its last good version is in use, stale since ${candidate.staleSince}`;
    return { file, verdict: 'rejected', reason, staleSince: candidate.staleSince };
  });
  const isSame = JSON.stringify(networks.map(essence)) === JSON.stringify(previous.networks.map(essence));
  return {
    generation: isSame ? previous.generation : previous.generation + 1,
    since: isSame ? previous.since : now,
    dir: previous.dir,
    exists: content.exists,
    networks,
    verdicts,
    error: '',
  };
}

function candidateOf(
  loaded: LoadedFile,
  before: ActiveNetwork | undefined,
  now: string,
): ActiveNetwork | undefined {
  if ('network' in loaded) return { file: loaded.file, network: loaded.network };
  if (before === undefined) return undefined;
  return { file: before.file, network: before.network, staleSince: before.staleSince ?? now };
}

function unusedReason(limit: number, networks: readonly ActiveNetwork[]): string {
  return limit === 1 ? `${networks[0]?.file ?? ''} comes first` : `max_conf_num is ${limit}`;
}

function errorOf(loaded: LoadedFile): string {
  return 'error' in loaded ? loaded.error : '';
}

function essence(active: ActiveNetwork): readonly string[] {
  return [active.file, active.network.text];
}
