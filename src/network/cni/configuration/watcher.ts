/**
 * Keeps the configuration directory's state at hand. inotify tells of most changes at once; a slow poll finds
 * the rest (a directory behind a symbolic link that was swapped, plugin files in sub-directories, a parent that is not
 * there yet), so that nothing has to be right about inotify for a change to be seen.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../../lib/errors.ts';
import { listFiles, readDirectory } from './directory.ts';
import { type Readiness, readinessOf, type StatusVerdict } from './readiness.ts';
import type { NetworkList } from '../types.ts';
import { type ActiveNetwork, emptySnapshot, select, type Snapshot } from './selection.ts';

export interface WatcherOptions {
  readonly dir: string;
  /** Files considered, 0 for all; 1 by default. */
  readonly maxConfNum?: number;
  /** Told after the first load and of each new state, also when only a verdict changed. */
  readonly onChange?: (snapshot: Snapshot) => void;
  /** Networks of earlier runs, newest first: last good versions of files that are bad at the start. */
  readonly remembered?: () => readonly NetworkList[];
  /** From an event to the reading, in milliseconds: writers write more than once. */
  readonly debounceMs?: number;
  readonly pollMs?: number;
}

export class ConfigurationWatcher {
  readonly #dir: string;
  readonly #options: WatcherOptions;
  #snapshot: Snapshot;
  #fingerprint = '';
  #watchedInode = '';
  #parentWatch: FSWatcher | undefined;
  #dirWatch: FSWatcher | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #loading: Promise<void> = Promise.resolve();
  #isLoaded = false;
  #isStopped = true;

  constructor(options: WatcherOptions) {
    this.#dir = options.dir;
    this.#options = options;
    this.#snapshot = emptySnapshot(options.dir, new Date().toISOString());
  }

  /** The state as of the last reading. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Reads the directory once and watches it from then on. Never throws: an unreadable directory is a state. */
  async start(): Promise<void> {
    this.#isStopped = false;
    this.#parentWatch = this.#watch(dirname(this.#dir), (name) => {
      if (name === null || name === basename(this.#dir)) this.#soon();
    });
    await this.reload();
    this.#poll = setInterval(() => void this.#reloadIfChanged(), this.#options.pollMs ?? 5000).unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#poll);
    clearTimeout(this.#debounce);
    this.#parentWatch?.close();
    this.#dirWatch?.close();
    this.#dirWatch = undefined;
    this.#watchedInode = '';
  }

  /** Reads the directory now; one reading at a time. */
  reload(): Promise<void> {
    this.#loading = this.#loading.then(() => this.#load());
    return this.#loading;
  }

  /** The CRI's NetworkReady, with what the plugins said about themselves when that is known. */
  readiness(status?: StatusVerdict): Readiness {
    return readinessOf(this.#snapshot, status);
  }

  async #load(): Promise<void> {
    if (this.#isStopped) return;
    await this.#rewatch();
    const before = this.#snapshot;
    try {
      // Taken first: what changes while we read makes the next poll read again.
      this.#fingerprint = await fingerprintOf(this.#dir).catch(() => '');
      const content = await readDirectory(this.#dir);
      const now = new Date().toISOString();
      this.#snapshot = select(content, before, this.#options.maxConfNum ?? 1, now, this.#remembered());
    } catch (error) {
      this.#snapshot = { ...before, error: messageOf(error) };
    }
    const isChanged = !this.#isLoaded || JSON.stringify(before) !== JSON.stringify(this.#snapshot);
    this.#isLoaded = true;
    if (isChanged) this.#options.onChange?.(this.#snapshot);
  }

  /** What a file held when a pod was last attached to it, for the first reading; from then on the snapshot knows. */
  #remembered(): ActiveNetwork[] {
    if (this.#isLoaded) return [];
    const networks = this.#options.remembered?.() ?? [];
    return networks
      .map((network) => ({ file: basename(network.source), network }))
      .filter(({ file, network }) => network.source === join(this.#dir, file));
  }

  async #reloadIfChanged(): Promise<void> {
    const fingerprint = await fingerprintOf(this.#dir).catch(() => '');
    if (fingerprint !== this.#fingerprint) await this.reload();
  }

  #soon(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => void this.reload(), this.#options.debounceMs ?? 50).unref();
  }

  /** inotify holds the inode: after the directory was replaced the old watch sees nothing any more. */
  async #rewatch(): Promise<void> {
    const found = await stat(this.#dir).catch(() => undefined);
    const inode = found === undefined ? '' : `${found.dev} ${found.ino}`;
    if (this.#isStopped) return;
    if (inode === this.#watchedInode && this.#dirWatch !== undefined) return;
    this.#dirWatch?.close();
    this.#dirWatch = found === undefined ? undefined : this.#watch(this.#dir, () => this.#soon());
    this.#watchedInode = inode;
  }

  /** Undefined when it cannot be watched: the poll is there for that. */
  #watch(path: string, onEvent: (name: string | null) => void): FSWatcher | undefined {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => onEvent(name));
      return watcher.on('error', () => {
        watcher.close();
        this.#watchedInode = '';
        this.#soon();
      });
    } catch {
      return undefined;
    }
  }
}

/** Changes whenever a file that counts may have changed, those of sub-directories too: names, times, sizes and inodes. */
async function fingerprintOf(dir: string): Promise<string> {
  const entries = await readdir(dir, { withFileTypes: true });
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name));
  const inside = await Promise.all(
    below.map(async (inner) => ((await listFiles(inner, ['.conf'])) ?? []).map((name) => join(inner, name))),
  );
  const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(dir, entry.name));
  return (await Promise.all([dir, ...paths, ...inside.flat()].map(stamp))).join('\n');
}

async function stamp(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${path} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `${path} ${messageOf(error)}`;
  }
}
