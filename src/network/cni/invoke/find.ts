import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from './invoke.ts';

/**
 * The path of the executable of a plugin: the first regular file of that name along the path that may be
 * executed. Throws a PluginError that says where it looked.
 */
export async function findExecutable(type: string, path: readonly string[]): Promise<string> {
  if (!isPluginType(type)) throw new PluginError(`invalid plugin name: ${JSON.stringify(type)}`);
  const passedOver: string[] = [];
  for (const directory of path) {
    const file = join(directory, type);
    const found = await stat(file).catch(() => undefined);
    if (found === undefined) continue;
    const why = found.isFile() ? await whyNotExecutable(file) : 'is not a regular file';
    if (why === undefined) return file;
    passedOver.push(`${file} ${why}`);
  }
  const remarks = passedOver.length === 0 ? '' : ` (${passedOver.join(', ')})`;
  throw new PluginError(`failed to find plugin "${type}" in path [${path.join(' ')}]${remarks}`);
}

/** True when a plugin's type is a bare file name. */
export function isPluginType(type: string): boolean {
  return /^[^/\0\n]{1,255}$/.test(type) && type !== '.' && type !== '..';
}

async function whyNotExecutable(file: string): Promise<string | undefined> {
  try {
    await access(file, constants.X_OK);
    return undefined;
  } catch {
    return 'is not executable';
  }
}
