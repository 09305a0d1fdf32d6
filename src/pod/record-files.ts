/**
 * What is on disk for one object, a sandbox or a container: `<root>/<kind>/<id>/`.
 *
 * - `<intent>.json`, the intent: written and synced before the first side effect, never changed. It alone is enough to
 *   undo everything that the object ever had.
 * - `state.json`, how far it came: replaced as a whole at each phase, not synced. It matters after a crash of Berth, which
 *   loses no page cache; after a power loss every namespace and process is gone and the intent is all that is needed. A state
 *   that is missing or torn therefore reads as half-made.
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

const STATE = 'state.json';

/** The records of one kind of object. */
export class RecordFiles<Record extends { readonly id: string }, State> {
  readonly #root: string;
  readonly #intent: string;
  readonly #files: Files;

  /** @param kind directory below root; @param intent name of the intent's file without `.json`. */
  constructor(root: string, kind: string, intent: string, files: Files = directFiles) {
    this.#files = files;
    this.#root = join(root, kind);
    this.#intent = `${intent}.json`;
  }

  directory(id: string): string {
    return join(this.#root, id);
  }

  async writeIntent(record: Record): Promise<void> {
    const directory = this.directory(record.id);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await this.#files.write(this.intentPath(record.id), JSON.stringify(record), { sync: true });
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw wrap(`failed to record "${record.id}"`, error);
    }
  }

  intentPath(id: string): string {
    return join(this.directory(id), this.#intent);
  }

  async writeState(id: string, state: State): Promise<void> {
    await this.#files.write(join(this.directory(id), STATE), JSON.stringify(state));
  }

  /** Forgets an object. */
  async remove(id: string): Promise<void> {
    await this.#files.removeDirectory(this.directory(id), join(this.#root, `.removed-${id}`));
  }

  /** Every object on disk. `unreadable` names directories whose intent cannot be read: kept for a person to look at. */
  async readAll(): Promise<{ stored: Stored<Record, State>[]; unreadable: string[] }> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#root);
    const stored: Stored<Record, State>[] = [];
    const unreadable: string[] = [];
    await Promise.all(
      names.map(async (name) => {
        if (name.startsWith('.removed-')) return rm(join(this.#root, name), { recursive: true, force: true });
        const record = await readJson<Record>(join(this.#root, name, this.#intent));
        if (record?.id === name) {
          stored.push({ record, state: await readJson<State>(join(this.#root, name, STATE)) });
        } else if ((await readdir(join(this.#root, name))).includes(this.#intent)) {
          unreadable.push(join(this.#root, name));
        } else {
          // A crash before the intent was named: nothing else was done yet.
          await rm(join(this.#root, name), { recursive: true, force: true });
        }
      }),
    );
    return { stored, unreadable };
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
