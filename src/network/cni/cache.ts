/**
 * The result cache of libcni, file for file: `<dir>/results/<network>-<container>-<interface>`. Other runtimes
 * and tools on the same machine read and write the same directory.
 */
import { readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../lib/directories.ts';
import { removeAbandoned, type WriteFile, writeFileAtomic } from '../../lib/atomic-file.ts';
import { BerthError, isErrno, messageOf, wrap } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { field } from './fields.ts';
import type { Attachment } from './types.ts';

const KIND = 'cniCacheV1';

export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** What one cache file holds. */
export interface CachedAttachment extends AttachmentKey {
  readonly netns: string;
  /** The configuration list as text; '' when the file has none. */
  readonly config: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: JsonObject;
  /** As the last plugin printed it, in whatever version. */
  readonly result: JsonObject | undefined;
}

export interface CacheListing {
  readonly entries: readonly CachedAttachment[];
  /** Files that do not say whose they are: empty, damaged, or of a libcni before 0.8. */
  readonly unreadable: readonly string[];
}

export class ResultCache {
  readonly #dir: string;
  readonly #write: WriteFile;

  /** @param cacheDir the directory above `results`, `/var/lib/cni` by default. */
  constructor(cacheDir: string, write: WriteFile = writeFileAtomic) {
    this.#write = write;
    this.#dir = join(cacheDir, 'results');
  }

  /**
   * Keeps an attachment with its result, in the form of the list's version. Replaced by rename, so that no
   * reader meets half a file; not synced, because the pod's own record is the one that has to last.
   */
  async write(attachment: Attachment, result: JsonObject): Promise<void> {
    const { network, containerId, netns, ifName, args, capabilityArgs } = attachment;
    const name = fileName({ network: network.name, containerId, ifName });
    const hasCapabilities = Object.keys(capabilityArgs).length > 0;
    const content = {
      kind: KIND,
      containerId,
      config: Buffer.from(network.text).toString('base64'),
      ifName,
      networkName: network.name,
      ...(netns === '' ? {} : { netns }),
      ...(args.length === 0 ? {} : { cniArgs: args }),
      ...(hasCapabilities ? { capabilityArgs } : {}),
      result,
    };
    try {
      await this.#put(join(this.#dir, name), JSON.stringify(content));
    } catch (error) {
      throw wrap(`failed to set network "${network.name}" cached result`, error, 'INTERNAL');
    }
  }

  /** The directory is there but for the first time. */
  async #put(path: string, text: string): Promise<void> {
    try {
      await this.#write(path, text, { mode: 0o600 });
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await makeDirectory(this.#dir, 0o700);
      await this.#write(path, text, { mode: 0o600 });
    }
  }

  /**
   * Reads one attachment. Undefined when there is no file or nothing usable in it; a file that holds a bare
   * result, as old versions of libcni wrote, gives the result alone.
   */
  async read(key: AttachmentKey): Promise<CachedAttachment | undefined> {
    const text = await readText(join(this.#dir, fileName(key)));
    if (text === undefined) return undefined;
    const content = parse(text);
    if (content === undefined) return undefined;
    if (content['kind'] === KIND) return decode(content);
    return { ...key, netns: '', config: '', args: [], capabilityArgs: {}, result: content };
  }

  /** All attachments of a network, of whatever runtime, in the order of their file names. Throws when the directory cannot be read. */
  async list(network: string): Promise<CacheListing> {
    const entries: CachedAttachment[] = [];
    const unreadable: string[] = [];
    for (const name of await this.#names()) {
      const text = await readText(join(this.#dir, name));
      if (text === undefined) continue;
      const entry = decodeCached(text);
      if (entry?.network === network) entries.push(entry);
      if (entry === undefined && name.startsWith(`${network}-`)) unreadable.push(name);
    }
    return { entries, unreadable };
  }

  /** All attachments, of whatever network and runtime. */
  async all(): Promise<CachedAttachment[]> {
    const entries: CachedAttachment[] = [];
    for (const name of await this.#names()) {
      const entry = decodeCached((await readText(join(this.#dir, name))) ?? '');
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /** Removes what writes that a crash cut off have left. */
  async sweep(): Promise<void> {
    await removeAbandoned((await this.#files()).map((name) => join(this.#dir, name)));
  }

  async #names(): Promise<string[]> {
    return (await this.#files()).filter((name) => !name.endsWith('.tmp')).sort();
  }

  #files(): Promise<string[]> {
    return readdir(this.#dir).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return [];
      throw wrap(`failed to list cache directory "${this.#dir}"`, error, 'INTERNAL');
    });
  }

  /** Drops one attachment; success when there is none. */
  async delete(key: AttachmentKey): Promise<void> {
    try {
      await unlink(join(this.#dir, fileName(key)));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      throw wrap(`failed to delete cached result of container "${key.containerId}"`, error, 'INTERNAL');
    }
  }
}

function fileName(key: AttachmentKey): string {
  const name = `${key.network}-${key.containerId}-${key.ifName}`;
  const isUsable =
    key.network !== '' &&
    key.containerId !== '' &&
    key.ifName !== '' &&
    !/[/\0]/.test(name) &&
    !name.startsWith('.');
  if (isUsable) return name;
  throw new BerthError(
    'INVALID_ARGUMENT',
    `no cache file for network "${key.network}", container "${key.containerId}", interface "${key.ifName}"`,
  );
}

/** The text of a file; undefined when it is gone or is no file. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EISDIR')) return undefined;
    throw new BerthError('INTERNAL', `failed to read cache file "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What one cache file says; undefined when it does not say whose it is. */
export function decodeCached(text: string): CachedAttachment | undefined {
  const content = parse(text);
  return content?.['kind'] === KIND ? decode(content) : undefined;
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function decode(content: JsonObject): CachedAttachment | undefined {
  const texts = ['networkName', 'containerId', 'ifName', 'netns', 'config'].map(
    (key) => field(content, key) ?? '',
  );
  if (!texts.every((text): text is string => typeof text === 'string')) return undefined;
  const [network = '', containerId = '', ifName = '', netns = '', config = ''] = texts;
  if (network === '' || containerId === '' || ifName === '') return undefined;
  const args = field(content, 'cniArgs');
  const capabilities = field(content, 'capabilityArgs');
  const result = field(content, 'result');
  return {
    network,
    containerId,
    ifName,
    netns,
    config: Buffer.from(config, 'base64').toString('utf8'),
    args: Array.isArray(args) ? args.flatMap(decodeArg) : [],
    capabilityArgs: isJsonObject(capabilities) ? capabilities : {},
    result: isJsonObject(result) ? result : undefined,
  };
}

function decodeArg(value: unknown): [string, string][] {
  if (!Array.isArray(value)) return [];
  const [key, text] = value as unknown[];
  return typeof key === 'string' && typeof text === 'string' ? [[key, text]] : [];
}
