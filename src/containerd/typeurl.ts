/**
 * containerd's Any: a type's name, and the value in that type's own encoding. What comes from Go structs is JSON, the
 * rest is protobuf with the message's full name.
 */
import type { Any__Output } from '../gen/google/protobuf/Any.ts';
import { BerthError } from '../lib/errors.ts';
import { decodeJson, encodeJson } from '../lib/exact-json.ts';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import type { ContainerdApi } from './api.ts';

export interface Any {
  readonly type_url: string;
  readonly value: Buffer;
}

const RUNTIME_SPEC = 'types.containerd.io/opencontainers/runtime-spec/1';

/** Documents of the OCI runtime specification that containerd passes on. */
export type RuntimeSpecType = 'Spec' | 'Process' | 'LinuxResources';

/** A document of the OCI runtime specification. */
export function runtimeSpecAny(type: RuntimeSpecType, document: object): Any {
  return { type_url: `${RUNTIME_SPEC}/${type}`, value: Buffer.from(encodeJson(document)) };
}

/** The JSON document in an Any; undefined for an absent one. Throws INTERNAL when it holds none. */
export function fromJsonAny(any: Any__Output | null): JsonObject | undefined {
  if (any === null) return undefined;
  try {
    const parsed: unknown = decodeJson(any.value.toString('utf8'));
    if (isJsonObject(parsed)) return parsed;
  } catch {
    // Told below.
  }
  throw new BerthError('INTERNAL', `a value of type "${any.type_url}" is no JSON object`);
}

interface Codec<Input, Output> {
  serialize(message: Input): Buffer;
  deserialize(bytes: Buffer): Output;
}

/** A protobuf message in an Any. */
export function messageAny<Input>(name: string, codec: Codec<Input, unknown>, message: Input): Any {
  return { type_url: name, value: codec.serialize(message) };
}

/** The full name of the type of an Any, without the host that some implementations put in front. */
export function typeName(any: { readonly type_url: string }): string {
  return any.type_url.replace(/^type\.googleapis\.com\//, '');
}

/** The message in an Any; undefined when it is absent or of another type. */
export function fromMessageAny<Output>(
  name: string,
  codec: Codec<never, Output>,
  any: Any__Output | null,
): Output | undefined {
  return any === null || typeName(any) !== name ? undefined : codec.deserialize(any.value);
}

export type RuncOptions = Parameters<ContainerdApi['runc']['v1']['Options']['serialize']>[0];
export type CheckpointOptions = Parameters<ContainerdApi['runc']['v1']['CheckpointOptions']['serialize']>[0];

/** Options for io.containerd.runc.v2: the OCI runtime's executable, its root, its cgroup driver. */
export function runcOptionsAny(api: ContainerdApi, options: RuncOptions): Any {
  return messageAny('containerd.runc.v1.Options', api.runc.v1.Options, options);
}

/** The configuration file of another shim than runc's; gVisor's wants the name of its own options with it. */
export function shimConfigAny(api: ContainerdApi, runtimeType: string, configPath: string): Any {
  const options = { typeUrl: `${runtimeType}.options`, configPath };
  return messageAny('runtimeoptions.v1.Options', api.runtimeoptions.v1.Options, options);
}

/** How to write a checkpoint, and where. */
export function checkpointOptionsAny(api: ContainerdApi, options: CheckpointOptions): Any {
  return messageAny('containerd.runc.v1.CheckpointOptions', api.runc.v1.CheckpointOptions, options);
}
