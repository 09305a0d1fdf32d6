/** What a CreateContainer request asks for, checked before the first side effect. */
import { isAbsolute, join } from 'node:path';
import type { ContainerConfig__Output } from '../../gen/runtime/v1/ContainerConfig.ts';
import { invalid } from '../../lib/errors.ts';
import { MAX_PATH_BYTES } from '../../oci/fields.ts';
import { checkAnnotations, checkLabels } from '../labels.ts';
import { checkImageName, checkName } from '../name.ts';
import { checkImageVolumes } from './image-volumes.ts';
import { checkStopSignal } from './stop-signal.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';

/** NAME_MAX. */
const MAX_FILE_NAME_BYTES = 255;

export interface ContainerPlan {
  readonly config: ContainerConfig__Output;
  readonly sandbox: Sandbox;
  /** Reserved for the container's whole life: `<name>_<pod>_<namespace>_<uid>_<attempt>`. */
  readonly reservedName: string;
  /** What the request calls the image: an id or a reference. */
  readonly image: string;
  /** Absolute; '' when the output is not kept. */
  readonly logPath: string;
}

/** Checks a request. Throws INVALID_ARGUMENT that names the first bad field. */
export function planContainer(config: ContainerConfig__Output | null, sandbox: Sandbox): ContainerPlan {
  if (config === null) throw invalid('config', 'must be set');
  if (config.metadata === null) throw invalid('config.metadata', 'must be set');
  const { name, attempt } = config.metadata;
  checkName('config.metadata.name', name, 253);
  const image = config.image?.image ?? '';
  checkImageName('config.image.image', image);
  checkImageVolumes(config);
  checkStopSignal(config.stopSignal);
  checkLabels('config.labels', config.labels);
  checkAnnotations('config.annotations', config.annotations);
  const pod = sandbox.record.config.metadata;
  return {
    config,
    sandbox,
    reservedName: [name, pod?.name, pod?.namespace, pod?.uid, attempt].join('_'),
    image,
    logPath: logPath(sandbox.record.config.logDirectory, config.logPath),
  };
}

/** The log's absolute path; it must stay below the pod's log directory. */
function logPath(directory: string, path: string): string {
  if (path === '' || directory === '') return '';
  if (isAbsolute(path) || path.split('/').includes('..') || path.includes('\0')) {
    throw invalid('config.log_path', "must stay below the sandbox's log_directory");
  }
  const whole = join(directory, path);
  const longest = Math.max(...whole.split('/').map((part) => Buffer.byteLength(part)));
  if (Buffer.byteLength(whole) > MAX_PATH_BYTES || longest > MAX_FILE_NAME_BYTES)
    throw invalid('config.log_path', 'is longer than a path, or the name of a file, may be');
  return whole;
}
