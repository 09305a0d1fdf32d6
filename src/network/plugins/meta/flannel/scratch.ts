/**
 * The rendered configuration of each attachment's delegate, kept for its DEL: by then the subnet may be another one.
 * The file is the reference plugin's: `<dataDir>/<container id>`, the object as JSON.
 */
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { makeDirectorySync } from '../../../../lib/directories.ts';
import { isErrno, messageOf } from '../../../../lib/errors.ts';
import { isJsonObject } from '../../../../lib/json.ts';
import type { PluginConf } from '../../../cni/types.ts';

/** Writes it so that a crash leaves the whole file or none, and a later power loss does not empty it. */
export function writeScratch(dataDir: string, containerId: string, conf: PluginConf): void {
  makeDirectorySync(dataDir, 0o700);
  const temporary = `${dataDir}/.${containerId}.tmp`;
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, JSON.stringify(conf));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, `${dataDir}/${containerId}`);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dataDir);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export type Scratch =
  | { readonly state: 'absent' }
  | { readonly state: 'good'; readonly conf: PluginConf }
  | { readonly state: 'unreadable'; readonly problem: string };

export function readScratch(dataDir: string, containerId: string): Scratch {
  try {
    const value: unknown = JSON.parse(readFileSync(`${dataDir}/${containerId}`, 'utf8'));
    const type = isJsonObject(value) ? value['type'] : undefined;
    if (!isJsonObject(value) || typeof type !== 'string')
      return { state: 'unreadable', problem: 'not a plugin configuration' };
    return { state: 'good', conf: { ...value, type } };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { state: 'absent' };
    if (error instanceof SyntaxError) return { state: 'unreadable', problem: messageOf(error) };
    throw error;
  }
}

export function removeScratch(dataDir: string, containerId: string): void {
  rmSync(`${dataDir}/${containerId}`, { force: true });
}

/** Puts a file that cannot be read out of the way, for a person to look at; returns its new path. */
export function quarantineScratch(dataDir: string, containerId: string): string {
  const path = `${dataDir}/.${containerId}.unreadable`;
  renameSync(`${dataDir}/${containerId}`, path);
  return path;
}

/** The containers that have a file. */
export function scratchFiles(dataDir: string): string[] {
  try {
    return readdirSync(dataDir).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
