import { join } from 'node:path';
import { loadPackageDefinition } from '@grpc/grpc-js';
import type { GrpcObject } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType } from '../gen/api.ts';
import { packageRoot } from './package-root.ts';

/**
 * How messages look in our code: camelCase names, int64 as decimal strings, enums by name, absent fields filled with
 * defaults. The types in src/gen are generated with the same options (`.ci/gen-proto.mjs`).
 */
export const loaderOptions = { longs: String, enums: String, defaults: true, oneofs: true } as const;

/** The directory that imports in proto files are resolved from. */
export function protoRoot(): string {
  return join(packageRoot(), 'proto');
}

const loaded = new Map<string, GrpcObject>();

/**
 * Loads a proto file, given relative to `protoRoot()`: its services as clients and definitions, by package. Each is read once, since
 * parsing the CRI takes as long as starting a process.
 */
export function loadService(file: string): GrpcObject {
  const known = loaded.get(file);
  if (known !== undefined) return known;
  const service = loadPackageDefinition(loadSync(file, { ...loaderOptions, includeDirs: [protoRoot()] }));
  loaded.set(file, service);
  return service;
}

/** RuntimeService and ImageService of the CRI, typed. */
export function loadCri(): ProtoGrpcType['runtime']['v1'] {
  return (loadService('runtime/v1/api.proto') as unknown as ProtoGrpcType).runtime.v1;
}
