import { readFile } from 'node:fs/promises';
import { wrap } from '../lib/errors.ts';
import { decodeJson } from '../lib/exact-json.ts';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import { without } from '../lib/without.ts';
import { BASE_SPEC } from './base.ts';
import type { RuntimeSpec, SpecMount } from './types.ts';

/** Which of the specification's keys hold objects and lists; what else is there is passed on to the OCI runtime as it is. */
const OBJECTS = ['process', 'linux', 'annotations', 'hooks', 'process.capabilities', 'linux.resources'];
const LISTS = [
  'mounts',
  'process.env',
  'process.rlimits',
  'process.capabilities.bounding',
  'linux.devices',
  'linux.resources.devices',
];

/**
 * A runtime spec from a file, as `ctr oci spec` prints one, to start every container of a handler from. Whatever the CRI says of a
 * container is set on top; what it may leave unsaid (rlimits, hooks, more mounts, environment) stays. Security profiles come from the CRI alone,
 * and /run is the image's, as with containerd's base_runtime_spec. Throws INVALID_ARGUMENT naming the file.
 */
export async function loadBaseSpec(path: string): Promise<RuntimeSpec> {
  try {
    return baseSpec(decodeJson(await readFile(path, 'utf8')));
  } catch (error) {
    throw wrap(`cannot use the runtime spec "${path}"`, error, 'INVALID_ARGUMENT');
  }
}

function baseSpec(file: unknown): RuntimeSpec {
  if (!isJsonObject(file)) throw new Error('it is not a JSON object');
  for (const path of OBJECTS) check(file, path, isJsonObject, 'an object');
  for (const path of LISTS) check(file, path, Array.isArray, 'a list');
  const given = file as unknown as Partial<RuntimeSpec>;
  const process = without({ ...BASE_SPEC.process, ...given.process }, 'apparmorProfile');
  const linux = without({ ...BASE_SPEC.linux, ...given.linux }, 'seccomp');
  const { devices } = { ...BASE_SPEC.linux.resources, ...given.linux?.resources };
  return {
    ...BASE_SPEC,
    ...given,
    ociVersion: BASE_SPEC.ociVersion,
    process: {
      ...process,
      capabilities: { ...BASE_SPEC.process.capabilities, ...given.process?.capabilities },
    },
    root: BASE_SPEC.root,
    mounts: mountsOf(given).filter(({ destination }) => destination !== '/run'),
    annotations: given.annotations ?? {},
    linux: { ...linux, resources: { ...given.linux?.resources, devices } },
  };
}

function mountsOf({ mounts = BASE_SPEC.mounts }: Partial<RuntimeSpec>): SpecMount[] {
  return mounts.map((mount: Partial<SpecMount>, i) => {
    const { destination, type = '', source = '', options = [] } = mount;
    if (typeof destination !== 'string') throw new Error(`mounts[${i}].destination is missing`);
    return { ...mount, destination, type, source, options };
  });
}

function check(file: JsonObject, path: string, is: (value: unknown) => boolean, wanted: string): void {
  let value: unknown = file;
  for (const key of path.split('.')) value = isJsonObject(value) ? value[key] : undefined;
  if (value !== undefined && !is(value)) throw new Error(`${path} is not ${wanted}`);
}
