/**
 * What is on disk for the objects of one kind, sandboxes or containers, in `<root>/<kind>/`:
 *
 * - `<id>.json`, the intent: written and synced before the first side effect, never changed. It alone is enough to undo
 *   everything that the object ever had. Without it the object does not exist, whatever else is there.
 * - `<id>.state.json`, how far it came: replaced as a whole at each phase, not synced. It matters after a crash of Berth, which
 *   loses no page cache; after a power loss every namespace and process is gone and the intent is all that is needed. A state
 *   that is missing or torn therefore reads as half-made.
 * - `<id>.spec.json`, a container's runtime spec, and the directory `<id>` for what else it keeps, when it does.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { directFiles, type Files } from '../lib/atomic-file.ts';
import { wrap } from '../lib/errors.ts';

/** What is read back: a state of undefined means half-made. */
export interface Stored<Record, State> {
  readonly record: Record;
  readonly state: State | undefined;
}

/** The records of one kind of object. */
export class RecordFiles<Record extends { readonly id: string }, State> {
  readonly #root: string;
  readonly #files: Files;

  /** @param kind directory below root. */
  constructor(root: string, kind: string, files: Files = directFiles) {
    this.#files = files;
    this.#root = join(root, kind);
  }

  intentPath(id: string): string {
    return join(this.#root, `${id}.json`);
  }

  specPath(id: string): string {
    return join(this.#root, `${id}.spec.json`);
  }

  /** For whoever needs one, and makes it: it goes with the record. */
  directory(id: string): string {
    return join(this.#root, id);
  }

  async writeIntent(record: Record): Promise<void> {
    try {
      await this.#files.write(this.intentPath(record.id), JSON.stringify(record), { sync: true });
    } catch (error) {
      throw wrap(`failed to record "${record.id}"`, error);
    }
  }

  async writeState(id: string, state: State): Promise<void> {
    await this.#files.write(this.#statePath(id), JSON.stringify(state));
  }

  /** Forgets an object: with its intent, which goes first. */
  async remove(id: string): Promise<void> {
    await this.#files.remove([
      this.intentPath(id),
      this.#statePath(id),
      this.specPath(id),
      this.directory(id),
    ]);
  }

  /** Every object on disk. `unreadable` names intents that cannot be read: kept, with all that is theirs, for a person to look at. */
  async readAll(): Promise<{ stored: Stored<Record, State>[]; unreadable: string[] }> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#root);
    const intents = new Set(names.filter((name) => /^[^.]+\.json$/.test(name)));
    const stored: Stored<Record, State>[] = [];
    const unreadable: string[] = [];
    await Promise.all(
      names.map(async (name) => {
        const [id = ''] = name.split('.');
        if (!intents.has(`${id}.json`) || name.endsWith('.tmp')) {
          // Of an object that was being forgotten, or of a write that a crash ended.
          await rm(join(this.#root, name), { recursive: true, force: true });
        } else if (intents.has(name)) {
          const record = await readJson<Record>(this.intentPath(id));
          if (record?.id === id) stored.push({ record, state: await readJson<State>(this.#statePath(id)) });
          else unreadable.push(this.intentPath(id));
        }
      }),
    );
    return { stored, unreadable };
  }

  #statePath(id: string): string {
    return join(this.#root, `${id}.state.json`);
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
