/**
 * CDI specs: files in which vendors say what a container needs to use their devices. Source: Container Device
 * Interface, SPEC.md 1.1.0.
 */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { z } from 'zod';
import { isErrno, messageOf } from '../../lib/errors.ts';
import { HOOK_NAMES } from '../types.ts';

const variable = z.string().regex(/^[^=]+=/, 'must be NAME=value');
const id = z.number().int().min(0).max(4_294_967_295);

const deviceNode = z.strictObject({
  path: z.string().min(1),
  hostPath: z.string().optional(),
  type: z.enum(['b', 'c', 'u', 'p']).optional(),
  major: z.number().int().min(0).optional(),
  minor: z.number().int().min(0).optional(),
  fileMode: z.number().int().min(0).optional(),
  permissions: z
    .string()
    .regex(/^([rwm]*|none)$/)
    .optional(),
  uid: id.optional(),
  gid: id.optional(),
});

const edits = z.strictObject({
  env: z.array(variable).default([]),
  deviceNodes: z.array(deviceNode).default([]),
  mounts: z
    .array(
      z.strictObject({
        hostPath: z.string().min(1),
        containerPath: z.string().min(1),
        type: z.string().default(''),
        options: z.array(z.string()).default([]),
      }),
    )
    .default([]),
  hooks: z
    .array(
      z.strictObject({
        hookName: z.enum(HOOK_NAMES),
        path: z.string().min(1),
        args: z.array(z.string()).optional(),
        env: z.array(variable).optional(),
        timeout: z.number().int().optional(),
      }),
    )
    .default([]),
  intelRdt: z.record(z.string(), z.unknown()).optional(),
  additionalGids: z.array(id).default([]),
  netDevices: z
    .array(z.strictObject({ hostInterfaceName: z.string().min(1), name: z.string().min(1) }))
    .default([]),
});

const annotations = z.record(z.string(), z.string()).optional();

const cdiSpec = z.strictObject({
  cdiVersion: z.string(),
  kind: z.string(),
  annotations,
  devices: z.array(z.strictObject({ name: z.string().min(1), annotations, containerEdits: edits })),
  containerEdits: edits.optional(),
});

export type ContainerEdits = z.infer<typeof edits>;
export type DeviceNode = z.infer<typeof deviceNode>;

/** One device of one spec. */
export interface CdiDevice {
  readonly file: string;
  readonly edits: ContainerEdits;
  /** What every container with any device of that file needs; once. */
  readonly common: ContainerEdits | undefined;
}

/** All devices of the node by their full name, `vendor/class=device`, and what was wrong with the files. */
export interface CdiRegistry {
  readonly devices: ReadonlyMap<string, CdiDevice>;
  /** Full name → the files that all have it, with equal priority; such a device is of no use. */
  readonly conflicts: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly string[];
}

/**
 * Reads the specs of all directories; a device of a later directory replaces one of an earlier. A broken file is a problem to
 * report, not a failure: the other vendors' devices can still be used.
 */
export async function readCdiSpecs(directories: readonly string[]): Promise<CdiRegistry> {
  const devices = new Map<string, CdiDevice>();
  const conflicts = new Map<string, readonly string[]>();
  const problems: string[] = [];
  for (const directory of directories) {
    const here = new Map<string, string[]>();
    for (const name of await specFiles(directory)) {
      const file = join(directory, name);
      try {
        for (const [device, found] of await readSpec(file)) {
          here.set(device, [...(here.get(device) ?? []), file]);
          devices.set(device, found);
        }
      } catch (error) {
        problems.push(
          `"${file}": ${error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error)}`,
        );
      }
    }
    for (const [device, files] of here) {
      if (files.length > 1) conflicts.set(device, files);
      else conflicts.delete(device);
    }
  }
  return { devices, conflicts, problems };
}

async function specFiles(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => ['.json', '.yaml'].includes(extname(name))).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readSpec(file: string): Promise<[string, CdiDevice][]> {
  const spec = cdiSpec.parse(await parseText(file, await readFile(file, 'utf8')));
  return spec.devices.map(({ name, containerEdits }) => {
    const full = `${spec.kind}=${name}`;
    if (!isDeviceName(full)) throw new Error(`"${full}" is not the name of a device`);
    return [full, { file, edits: containerEdits, common: spec.containerEdits }];
  });
}

/** YAML in its version 1.1, as Go reads it: a file mode of 0660 is octal. Few nodes have such files, so its parser comes with the first. */
async function parseText(file: string, text: string): Promise<unknown> {
  if (extname(file) !== '.yaml') return JSON.parse(text, nullIsAbsent);
  const { parse } = await import('yaml');
  return parse(text, nullIsAbsent, { version: '1.1' });
}

/** As for Go, which vendors write their files with: `mounts:` with nothing after it is no mounts. */
function nullIsAbsent(_key: unknown, value: unknown): unknown {
  return value ?? undefined;
}

const DEVICE_NAME =
  /^[A-Za-z]([\w.-]*[A-Za-z0-9])?\/[A-Za-z]([\w.-]*[A-Za-z0-9])?=[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$/;

/** True for a full name, `vendor/class=device`. */
export function isDeviceName(name: string): boolean {
  return DEVICE_NAME.test(name);
}
