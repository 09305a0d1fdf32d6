import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BerthError, messageOf } from '../lib/errors.ts';
import { type SpecInput, withLinuxPart } from './input.ts';
import type { RuntimeSpec } from './types.ts';

const RESCTRL = '/sys/fs/resctrl';

/**
 * The classes of cache and memory bandwidth (RDT) and of block I/O that annotations ask for, as containerd reads them. An RDT class is one
 * that somebody has made in resctrl. A class of block I/O is a name for limits in a file that Berth does not have, so it is refused.
 * Throws FAILED_PRECONDITION naming the annotation.
 * @param resctrl where the kernel shows the RDT classes.
 */
export async function withResourceClasses(
  spec: RuntimeSpec,
  input: SpecInput,
  resctrl = RESCTRL,
): Promise<RuntimeSpec> {
  const blockIo = askedClass('blockio', input);
  if (blockIo !== undefined) throw refused(blockIo, 'block I/O classes are not supported');
  const rdt = askedClass('rdt', input);
  if (rdt === undefined) return spec;
  const { name } = rdt;
  if (['.', '..'].includes(name) || /[/\0\n]/.test(name)) throw refused(rdt, 'not the name of an RDT class');
  try {
    // The directories of resctrl that are no classes do not have it.
    await stat(join(resctrl, name, 'schemata'));
  } catch (error) {
    throw refused(rdt, `no such RDT class on this node: ${messageOf(error)}`);
  }
  return withLinuxPart(spec, { intelRdt: { ...spec.linux.intelRdt, closID: name } });
}

interface AskedClass {
  readonly name: string;
  /** The annotation, as errors give it. */
  readonly field: string;
}

/** The container's own annotation comes before that of its pod for this container, and that before that for all of the pod's. */
function askedClass(kind: 'blockio' | 'rdt', { config, sandbox }: SpecInput): AskedClass | undefined {
  const pods = `${kind}.resources.beta.kubernetes.io`;
  const places = [
    ['config', config.annotations, `io.kubernetes.cri.${kind}-class`],
    ['sandbox_config', sandbox.config.annotations, `${pods}/container.${config.metadata?.name ?? ''}`],
    ['sandbox_config', sandbox.config.annotations, `${pods}/pod`],
  ] as const;
  for (const [message, annotations, key] of places) {
    const name = annotations[key];
    // An empty one is none, and keeps those of the pod away.
    if (name !== undefined)
      return name === '' ? undefined : { name, field: `${message}.annotations["${key}"]` };
  }
  return undefined;
}

function refused({ name, field }: AskedClass, problem: string): BerthError {
  return new BerthError('FAILED_PRECONDITION', `${field}: ${JSON.stringify(name)}: ${problem}`, {
    meta: { field },
  });
}
