import { access, constants, open, stat } from 'node:fs/promises';
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
  } catch {
    return 'is not executable';
  }
  return (await isProgram(file)) ? undefined : 'is neither a program nor a script';
}

/**
 * libc's execvp gives what the kernel does not know to a shell: an empty file, half installed, would then be a
 * plugin that succeeds at everything.
 */
async function isProgram(file: string): Promise<boolean> {
  const opened = await open(file, 'r').catch(() => undefined);
  // Executable but not readable is for the kernel to judge.
  if (opened === undefined) return true;
  try {
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(4), 0, 4, 0);
    const magic = buffer.toString('latin1', 0, bytesRead);
    return magic === '\x7fELF' || magic.startsWith('#!');
  } finally {
    await opened.close();
  }
}
