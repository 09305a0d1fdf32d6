/**
 * A pod's configuration in a file: JSON with the fields of the CRI's PodSandboxConfig, named as crictl's files do
 * (`log_directory`) or as protobuf's JSON does (`logDirectory`), enums by name or by number.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { snakeCase } from '../../config/keys.ts';
import { nearest } from '../../config/nearest.ts';
import type { PodSandboxConfig } from '../../gen/runtime/v1/PodSandboxConfig.ts';
import { BerthError, invalid, isErrno, messageOf } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { protoRoot } from '../../lib/proto.ts';

const STDIN = 0;
const WHOLE_NUMBERS = /^u?int(32|64)$/;

/** Reads a file, or stdin for `-`. Throws NOT_FOUND for a missing file, INVALID_ARGUMENT naming what is wrong. */
export function readPodConfig(path: string): PodSandboxConfig {
  try {
    return parsePodConfig(readFileSync(path === '-' ? STDIN : path, 'utf8'));
  } catch (cause) {
    const code = isErrno(cause, 'ENOENT')
      ? 'NOT_FOUND'
      : cause instanceof BerthError
        ? cause.code
        : 'UNKNOWN';
    throw new BerthError(code, `failed to read pod configuration "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** The configuration in a JSON text. Throws INVALID_ARGUMENT naming the field. */
export function parsePodConfig(text: string): PodSandboxConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new BerthError('INVALID_ARGUMENT', messageOf(cause), { cause });
  }
  return convertMessage(podSandboxConfig(), parsed, '');
}

/** The message's description, fields with their types resolved. */
function podSandboxConfig(): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(protoRoot(), target);
  root.loadSync('runtime/v1/api.proto').resolveAll();
  return root.lookupType('runtime.v1.PodSandboxConfig');
}

function convertMessage(type: protobuf.Type, value: unknown, path: string): JsonObject {
  if (!isJsonObject(value)) throw invalid(path === '' ? 'configuration' : path, 'must be an object');
  const message: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const field = type.fieldsArray.find((known) => known.name === key || snakeCase(known.name) === key);
    if (field === undefined) throw invalid(at, unknownField(type, key));
    if (item !== null) message[field.name] = convertField(field, item, at) as JsonObject[string];
  }
  return message;
}

function convertField(field: protobuf.Field, value: unknown, path: string): unknown {
  if (field.map) {
    if (!isJsonObject(value)) throw invalid(path, 'must be an object');
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, convertValue(field, item, `${path}.${key}`)]),
    );
  }
  if (!field.repeated) return convertValue(field, value, path);
  if (!Array.isArray(value)) throw invalid(path, 'must be a list');
  return value.map((item, index) => convertValue(field, item, `${path}.${index}`));
}

function convertValue(field: protobuf.Field, value: unknown, path: string): unknown {
  if (field.resolvedType instanceof protobuf.Type) return convertMessage(field.resolvedType, value, path);
  if (field.resolvedType instanceof protobuf.Enum) return convertEnum(field.resolvedType, value, path);
  const problem = scalarProblem(field.type, value);
  if (problem !== undefined) throw invalid(path, problem);
  return value;
}

function convertEnum(type: protobuf.Enum, value: unknown, path: string): unknown {
  if (typeof value === 'string' && Object.hasOwn(type.values, value)) return value;
  if (typeof value === 'number' && Object.hasOwn(type.valuesById, value)) return value;
  throw invalid(path, `must be one of ${Object.keys(type.values).join(', ')}`);
}

function scalarProblem(type: string, value: unknown): string | undefined {
  if (type === 'bool') return typeof value === 'boolean' ? undefined : 'must be true or false';
  if (type === 'string') return typeof value === 'string' ? undefined : 'must be a string';
  if (!WHOLE_NUMBERS.test(type)) return typeof value === 'number' ? undefined : 'must be a number';
  const whole =
    typeof value === 'number'
      ? Number.isSafeInteger(value)
      : typeof value === 'string' && /^-?\d+$/.test(value);
  if (!whole) return 'must be a whole number';
  const number = BigInt(value as number | string);
  const bits = type.endsWith('32') ? 32 : 64;
  const fits = type.startsWith('u') ? BigInt.asUintN(bits, number) : BigInt.asIntN(bits, number);
  return fits === number ? undefined : `must fit into ${type}`;
}

function unknownField(type: protobuf.Type, key: string): string {
  const near = nearest(
    key,
    type.fieldsArray.map((field) => snakeCase(field.name)),
  );
  return `no such field${near === undefined ? '' : ` (did you mean ${near}?)`}`;
}
