import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import type { Enum, MapField, NamespaceBase, ReflectionObject, Service, Type } from 'protobufjs';
import { protoRoot } from '../../src/lib/proto.ts';

/** A proto file as lines that hold all that matters on the wire, in an order of their own. */
function facts(path: string): string[] {
  const { root } = protobuf.parse(readFileSync(path, 'utf8'), new protobuf.Root(), { keepCase: true });
  const found = root.lookup('runtime.v1');
  assert.ok(found instanceof protobuf.Namespace, `${path} has no package runtime.v1`);
  return describeAll(found).sort();
}

function describeAll(namespace: NamespaceBase): string[] {
  return namespace.nestedArray.flatMap(describeOne);
}

function describeOne(object: ReflectionObject): string[] {
  const name = object.fullName;
  if (object instanceof protobuf.Service) return rpcs(object);
  if (object instanceof protobuf.Enum) return values(object);
  if (object instanceof protobuf.Type) return [`message ${name}`, ...fields(object), ...describeAll(object)];
  throw new Error(`${name} is of an unexpected kind`);
}

function rpcs(service: Service): string[] {
  return service.methodsArray.map((method) => {
    const request = `${method.requestStream === true ? 'stream ' : ''}${method.requestType}`;
    const response = `${method.responseStream === true ? 'stream ' : ''}${method.responseType}`;
    return `rpc ${service.fullName}.${method.name}(${request}) returns (${response})`;
  });
}

function values(enumeration: Enum): string[] {
  return Object.entries(enumeration.values).map(
    ([name, value]) => `${enumeration.fullName} ${name} = ${value}`,
  );
}

function fields(message: Type): string[] {
  assert.deepEqual(
    message.oneofsArray,
    [],
    `${message.fullName} has a oneof, which this comparison knows nothing of`,
  );
  const reserved = (message.reserved as unknown[] | undefined)?.map(
    (range) => `${message.fullName} reserves ${String(range)}`,
  );
  const described = message.fieldsArray.map((field) => {
    const label =
      field instanceof protobuf.MapField
        ? `map<${(field as MapField).keyType}>`
        : field.repeated
          ? 'repeated'
          : '';
    const redacted = field.options?.['debug_redact'] === true ? ' redacted' : '';
    const deprecated = field.options?.['deprecated'] === true ? ' deprecated' : '';
    return `${message.fullName}.${field.name} = ${field.id} ${label} ${field.type}${redacted}${deprecated}`;
  });
  return [...(reserved ?? []), ...described];
}

describe('proto/runtime/v1/api.proto', () => {
  it('has the services, messages, fields and enums of the published contract, and no others', () => {
    const published = process.env['CRI_API_PROTO'];
    assert.ok(published, 'CRI_API_PROTO is not set: run this through npm run conformance');
    const expected = facts(published);
    assert.ok(expected.length > 700, `only ${expected.length} facts were read`);
    assert.deepEqual(facts(join(protoRoot(), 'runtime/v1/api.proto')), expected);
  });
});
