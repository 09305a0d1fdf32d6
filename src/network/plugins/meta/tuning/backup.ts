/** What an interface was before, in the reference plugin's files: `<dataDir>/<container id>_<interface>.json`. */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { makeDirectorySync } from '../../../../lib/directories.ts';
import { isErrno } from '../../../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../../../lib/json.ts';
import { booleanAt, integerAt, stringAt } from '../../config.ts';
import type { PluginArgs } from '../../plugin.ts';
import type { Attributes } from './attributes.ts';

export function backupPath(
  dataDir: string,
  { containerId, ifName }: Pick<PluginArgs, 'containerId' | 'ifName'>,
): string {
  return `${dataDir}/${containerId}_${ifName}.json`;
}

export function isEmpty(attributes: Attributes): boolean {
  return Object.values(attributes).every((value) => value === undefined);
}

/** Whole or not at all. It need not outlive a reboot: the interface does not. */
export function writeBackup(path: string, attributes: Attributes): void {
  makeDirectorySync(path.slice(0, path.lastIndexOf('/')), 0o700);
  const temporary = path.replace(/[^/]*$/, (name) => `.${name}.tmp`);
  writeFileSync(temporary, JSON.stringify(attributes, undefined, 1), { mode: 0o600 });
  renameSync(temporary, path);
}

/** undefined when there is none, or nothing that can be read: then nothing is restored. */
export function readBackup(path: string): Attributes | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isJsonObject(value) ? parse(value) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function parse(value: JsonObject): Attributes {
  return {
    mac: stringAt(value, 'mac') || undefined,
    promisc: booleanAt(value, 'promisc'),
    mtu: integerAt(value, 'mtu') || undefined,
    allmulti: booleanAt(value, 'allmulti'),
    txQLen: integerAt(value, 'txQLen'),
  };
}

export function removeBackup(path: string): void {
  rmSync(path, { force: true });
}

/** Every backup there is, with the attachment that its name tells: the id is taken to end at the first underscore. */
export function backups(dataDir: string): { path: string; containerId: string; ifName: string }[] {
  return namesIn(dataDir).flatMap((name) => {
    const [, containerId = '', ifName = ''] = /^([^_.][^_]*)_(.+)\.json$/.exec(name) ?? [];
    return containerId === '' ? [] : [{ path: `${dataDir}/${name}`, containerId, ifName }];
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
