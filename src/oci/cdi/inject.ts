import type { ContainerConfig__Output } from '../../gen/runtime/v1/ContainerConfig.ts';
import { BerthError, invalid } from '../../lib/errors.ts';
import type { SpecInput } from '../input.ts';
import type { RuntimeSpec } from '../types.ts';
import { applyEdits } from './edits.ts';
import { type CdiDevice, type CdiRegistry, isDeviceName, readCdiSpecs } from './specs.ts';

const ANNOTATION_PREFIX = 'cdi.k8s.io/';

/** The names of all CDI devices that a container asks for, by field and by annotation, each once. */
export function cdiDeviceNames({ CDIDevices, annotations }: ContainerConfig__Output): string[] {
  const byField = CDIDevices.map(({ name }, i) => checked(`config.CDI_devices[${i}].name`, name));
  const byAnnotation = Object.entries(annotations)
    .filter(([key]) => key.startsWith(ANNOTATION_PREFIX))
    .flatMap(([key, value]) => value.split(',').map((name) => checked(`config.annotations["${key}"]`, name)));
  return [...new Set([...byField, ...byAnnotation])];
}

function checked(field: string, name: string): string {
  if (!isDeviceName(name))
    throw invalid(field, `${JSON.stringify(name)} is not of the form vendor/class=device`);
  return name;
}

/** Applies what the CDI specs of this node say about the devices that the container asks for. */
export async function withCdiDevices(spec: RuntimeSpec, input: SpecInput): Promise<RuntimeSpec> {
  const names = cdiDeviceNames(input.config);
  const [first] = names;
  if (first === undefined) return spec;
  if (input.cdiDirectories.length === 0) throw unusable(first, 'runtime.cdi_spec_dirs is empty');
  const registry = await readCdiSpecs(input.cdiDirectories);
  const devices = names.map((name) => find(name, registry));
  const begun = new Set<string>();
  let draft = spec;
  for (const { file, common, edits } of devices) {
    if (common !== undefined && !begun.has(file)) draft = await applyEdits(draft, common, input.runtime);
    begun.add(file);
    draft = await applyEdits(draft, edits, input.runtime);
  }
  return draft;
}

function find(name: string, { devices, conflicts, problems }: CdiRegistry): CdiDevice {
  const device = devices.get(name);
  const files = conflicts.get(name);
  if (files !== undefined) throw unusable(name, `it is in ${files.map((file) => `"${file}"`).join(' and ')}`);
  if (device === undefined) {
    const also = problems.length === 0 ? '' : `; not read: ${problems.join('; ')}`;
    throw unusable(name, `no CDI spec of this node has it${also}`);
  }
  return device;
}

function unusable(name: string, cause: string): BerthError {
  return new BerthError('FAILED_PRECONDITION', `failed to inject CDI device "${name}": ${cause}`);
}
