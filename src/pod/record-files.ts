/**
 * What is on disk for the objects of one kind, sandboxes or containers, in `<root>/<kind>/`: `<id>.jsonl`, of which
 *
 * - the first line is the intent: written and synced before the first side effect, never changed. It alone is enough to undo
 *   everything that the object ever had. Without it the object does not exist, whatever else is there.
 * - the last line is the state, how far it came: one is added at each phase, not synced. It matters after a crash of Berth, which
 *   loses no page cache; after a power loss every namespace and process is gone and the intent is all that is needed. A line
 *   that a crash has torn does not count; an object without a state is half-made.
 *
 * Beside it `<id>.spec.json`, a container's runtime spec, and the directory `<id>` for what else it keeps, when it does.
 */
import { readFileSync } from 'node:fs';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../lib/directories.ts';
import { directFiles, type Files } from '../lib/atomic-file.ts';
import { wrap } from '../lib/errors.ts';

/** What is read back: a state of undefined means half-made. */
export interface Stored<Record, State> {
  readonly record: Record;
  readonly state: State | undefined;
}

/** What every record has. */
export interface Identity {
  /** Of its shape: what another Berth has written may have another. */
  readonly version: 1;
  readonly id: string;
  /** Nanoseconds since the epoch, in decimal. */
  readonly createdAt: string;
}

const RECORD = '.jsonl';
/** A file that has more of them is written anew. */
export const STATES_MOST = 32;

/** The records of one kind of object. */
export class RecordFiles<Record extends Identity, State extends object> {
  readonly #root: string;
  readonly #files: Files;
  /** Where the whole lines end of files whose last one a crash has torn, by id. */
  readonly #torn = new Map<string, number>();

  /** @param kind directory below root. */
  constructor(root: string, kind: string, files: Files = directFiles) {
    this.#files = files;
    this.#root = join(root, kind);
  }

  path(id: string): string {
    return join(this.#root, `${id}${RECORD}`);
  }

  specPath(id: string): string {
    return join(this.#root, `${id}.spec.json`);
  }

  async writeSpec(id: string, spec: string): Promise<void> {
    await this.#files.write(this.specPath(id), spec);
  }

  /** For whoever needs one, and makes it: it goes with the record. */
  directory(id: string): string {
    return join(this.#root, id);
  }

  async writeIntent(record: Record): Promise<void> {
    try {
      await this.#files.write(this.path(record.id), lineOf(record), { sync: true });
    } catch (error) {
      throw wrap(`failed to record "${record.id}"`, error);
    }
  }

  async addState(id: string, state: State): Promise<void> {
    const end = this.#torn.get(id);
    // It must not continue the torn one.
    if (end !== undefined) await truncate(this.path(id), end);
    this.#torn.delete(id);
    await this.#files.append(this.path(id), lineOf(state));
  }

  /** Leaves intent and state alone in the file, which states have made long. */
  async rewrite(record: Record, state: State): Promise<void> {
    await this.#files.write(this.path(record.id), `${lineOf(record)}${lineOf(state)}`, { sync: true });
    this.#torn.delete(record.id);
  }

  /** Forgets an object: with its intent, which goes first. */
  async remove(id: string): Promise<void> {
    await this.#files.remove([this.path(id), this.specPath(id), this.directory(id)]);
  }

  /**
   * Every object on disk, the oldest first. `unreadable` names files whose intent cannot be read: kept, with all that is theirs, for a person to look at.
   * A disk that takes no writes is no reason to fail: what is tidied here the next start tidies as well.
   */
  async readAll(): Promise<{ stored: Stored<Record, State>[]; unreadable: string[] }> {
    await makeDirectory(this.#root, 0o700);
    const names = await readdir(this.#root);
    const ids = new Set(names.filter((name) => name.endsWith(RECORD)).map(idOf));
    const stored: Stored<Record, State>[] = [];
    const unreadable: string[] = [];
    await Promise.all(
      names.map(async (name) => {
        const id = idOf(name);
        if (name.endsWith(RECORD)) {
          const read = await this.#read(id);
          if (read === undefined) unreadable.push(this.path(id));
          else stored.push(read);
        } else if (!ids.has(id) || name.endsWith('.tmp')) {
          // Of an object that was being forgotten, or of a write that a crash ended.
          await rm(join(this.#root, name), { recursive: true, force: true }).catch(() => undefined);
        }
      }),
    );
    stored.sort((a, b) => (BigInt(a.record.createdAt) < BigInt(b.record.createdAt) ? -1 : 1));
    return { stored, unreadable };
  }

  async #read(id: string): Promise<Stored<Record, State> | undefined> {
    // Nobody is served yet, and a node has hundreds: through libuv's threads each would take ten times as long.
    const text = contentOf(this.path(id));
    const end = text.lastIndexOf('\n') + 1;
    const [intent = '', ...states] = text.toString('utf8', 0, end).split('\n').slice(0, -1);
    const record = parse(intent) as Record | undefined;
    // It comes from a disk.
    const version: number | undefined = record?.version;
    if (version !== 1 || record?.id !== id || !/^\d+$/.test(record.createdAt)) return undefined;
    if (end < text.length) this.#torn.set(id, end);
    const state = parse(states.at(-1) ?? '') as State | undefined;
    if (state !== undefined && states.length > STATES_MOST)
      await this.rewrite(record, state).catch(() => undefined);
    return { record, state };
  }
}

/** As it stands in the file. */
export function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function idOf(name: string): string {
  return name.split('.', 1)[0] ?? '';
}

/** Empty where the disk does not give it. */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
