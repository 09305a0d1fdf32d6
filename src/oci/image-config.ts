import { BerthError } from '../lib/errors.ts';
import { isJsonObject } from '../lib/json.ts';

/** What an image says of how it is run: the `config` object of its configuration. Source: OCI image-spec, config.md. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  /** `user`, `uid`, either with `:group` or `:gid`; '' for root. */
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal: string;
  /** Paths that want a volume. */
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Reads the `config` object of an image configuration; builders leave keys out or write null. Throws FAILED_PRECONDITION
 * for an image that does not follow the specification.
 */
export function parseImageConfig(config: unknown): ImageConfig {
  const object = config ?? {};
  if (!isJsonObject(object)) throw broken('config', 'an object');
  return {
    entrypoint: strings(object, 'Entrypoint'),
    cmd: strings(object, 'Cmd'),
    env: strings(object, 'Env'),
    user: string(object, 'User'),
    workingDir: string(object, 'WorkingDir'),
    stopSignal: string(object, 'StopSignal'),
    volumes: Object.keys(table(object, 'Volumes')),
    labels: Object.fromEntries(
      Object.entries(table(object, 'Labels')).map(([key, value]) => {
        if (typeof value !== 'string') throw broken(`Labels["${key}"]`, 'a string');
        return [key, value];
      }),
    ),
  };
}

function string(object: Record<string, unknown>, key: string): string {
  const value = object[key] ?? '';
  if (typeof value !== 'string') throw broken(key, 'a string');
  return value;
}

function strings(object: Record<string, unknown>, key: string): string[] {
  const value = object[key] ?? [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw broken(key, 'a list of strings');
  return value;
}

function table(object: Record<string, unknown>, key: string): Record<string, unknown> {
  const value = object[key] ?? {};
  if (!isJsonObject(value)) throw broken(key, 'an object');
  return value;
}

function broken(key: string, wanted: string): BerthError {
  return new BerthError('FAILED_PRECONDITION', `failed to read image configuration: ${key} is not ${wanted}`);
}
