import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { BerthError, isErrno, messageOf } from '../../../lib/errors.ts';
import type { NetworkList } from '../types.ts';
import { parseNetworkList, parseSinglePlugin, type PluginFile } from './parse.ts';

/** What has become of one file of the directory. */
export interface FileVerdict {
  /** Base name. */
  readonly file: string;
  readonly verdict: 'active' | 'unused' | 'rejected';
  /** Why; '' when it is active and fresh. */
  readonly reason: string;
  /** RFC 3339: its last good version is in use since the file became bad then. */
  readonly staleSince?: string;
}

/** One file as it was read: a list, or the reason why it is none. */
export type LoadedFile =
  | { readonly file: string; readonly network: NetworkList }
  | { readonly file: string; readonly error: string };

export interface DirectoryContent {
  /** False when the directory does not exist: no error, as for libcni. */
  readonly exists: boolean;
  /** In lexicographic order over all extensions: the order of preference. */
  readonly files: readonly LoadedFile[];
}

const EXTENSIONS = ['.conflist', '.conf', '.json'];
/** Larger files are not read: a configuration has some kilobytes. */
const MAX_FILE = 1024 * 1024;

/** Reads and parses every configuration file of a directory. Throws only when the directory itself cannot be read. */
export async function readDirectory(dir: string): Promise<DirectoryContent> {
  const names = await listFiles(dir, EXTENSIONS);
  if (names === undefined) return { exists: false, files: [] };
  return { exists: true, files: await Promise.all(names.map((name) => loadFile(dir, name))) };
}

/**
 * Names of the files with one of these extensions, sorted; undefined when there is no such directory. Sub-directories are
 * passed over; a symbolic link counts as what it leads to.
 */
export async function listFiles(dir: string, extensions: readonly string[]): Promise<string[] | undefined> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory() && extensions.includes(extname(entry.name)));
    return files.map((entry) => entry.name).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new BerthError(
      'INTERNAL',
      `failed to read CNI configuration directory "${dir}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function loadFile(dir: string, file: string): Promise<LoadedFile> {
  const source = join(dir, file);
  try {
    const text = await readText(source);
    const isList = extname(file) === '.conflist';
    const pluginFiles = (name: string): Promise<PluginFile[]> => readPluginFiles(join(dir, name));
    const network = isList
      ? await parseNetworkList(text, { source, pluginFiles })
      : parseSinglePlugin(text, source);
    return { file, network };
  } catch (error) {
    return { file, error: messageOf(error) };
  }
}

async function readPluginFiles(dir: string): Promise<PluginFile[]> {
  const names = (await listFiles(dir, ['.conf'])) ?? [];
  return Promise.all(
    names.map(async (name) => ({ path: join(dir, name), text: await readText(join(dir, name)) })),
  );
}

async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > MAX_FILE) throw new BerthError('INVALID_ARGUMENT', `larger than ${MAX_FILE} bytes`);
  return readFile(path, 'utf8');
}
