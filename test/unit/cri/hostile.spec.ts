import assert from 'node:assert/strict';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { configSchema } from '../../../src/config/schema.ts';
import { services } from '../../../src/cri/services.ts';
import type { CreateContainerRequest__Output } from '../../../src/gen/runtime/v1/CreateContainerRequest.ts';
import type { RunPodSandboxRequest__Output } from '../../../src/gen/runtime/v1/RunPodSandboxRequest.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import { protoRoot } from '../../../src/lib/proto.ts';
import { planContainer } from '../../../src/pod/container/plan.ts';
import { planSandbox } from '../../../src/pod/sandbox/plan.ts';
import type { Sandbox } from '../../../src/pod/sandbox/sandbox.ts';

type Message = Record<string, unknown>;

const TEXTS = [
  '',
  'a\0b',
  '../../etc',
  '/',
  '/a\nb',
  '%s$(id)',
  '\u202e\u{1f6a2}',
  '__proto__',
  '-1',
  'x'.repeat(1 << 20),
];
const NUMBERS = [0, 1, -1, 99, 2_147_483_647, -2_147_483_648];
const LONGS = ['9223372036854775807', '-9223372036854775808', '-1'];
const MANY = 2_000;

/** What one value of a field may be, however senseless; of a message the empty one, and each with one senseless field. */
function* valuesOf(field: protobuf.Field, base: unknown): Generator {
  const type = field.resolve().resolvedType;
  if (type instanceof protobuf.Type) {
    yield {};
    yield* variants(type, (base ?? {}) as Message);
  } else if (type instanceof protobuf.Enum) yield* NUMBERS;
  else if (field.type === 'string') yield* TEXTS;
  else if (field.type === 'bool') yield* [true, false];
  else yield* field.type.endsWith('64') ? LONGS : NUMBERS;
}

/** The message with one field left out, or senseless: each field, and those of what is in it. */
function* variants(type: protobuf.Type, base: Message): Generator<Message> {
  for (const field of type.fieldsArray) {
    const { [field.name]: own, ...others } = base;
    yield others;
    if (field.map) {
      for (const text of TEXTS)
        yield* [
          { ...base, [field.name]: { [text]: 'v' } },
          { ...base, [field.name]: { k: text } },
        ];
      continue;
    }
    for (const value of valuesOf(field, field.repeated ? (own as unknown[] | undefined)?.[0] : own))
      yield { ...base, [field.name]: field.repeated ? [value, value] : value };
    if (field.repeated) {
      const [first] = valuesOf(field, {});
      yield { ...base, [field.name]: Array.from({ length: MANY }, () => first) };
    }
  }
}

/** Each variant as it comes from the wire. */
function* received<T>(method: string, base: Message): Generator<T> {
  const root = new protobuf.Root();
  root.resolvePath = (_, path) => join(protoRoot(), path);
  root.loadSync('runtime/v1/api.proto');
  const type = root.lookupType(`runtime.v1.${method}Request`);
  const definition = services()[0]?.definition[method];
  assert.ok(definition);
  for (const message of variants(type, base))
    yield definition.requestDeserialize(Buffer.from(type.encode(message).finish())) as T;
}

/** How often it was refused. Fails unless each refusal names a field, in a text of any length. */
function refusals<T>(requests: Iterable<T>, check: (request: T) => unknown): number {
  let refused = 0;
  for (const request of requests) {
    try {
      check(request);
    } catch (error) {
      assert.ok(error instanceof BerthError, String(error));
      assert.equal(error.code, 'INVALID_ARGUMENT');
      assert.match(String(error.meta['field']), /^(config|runtime_handler)/);
      refused += 1;
    }
  }
  return refused;
}

describe('senseless requests, each field of the proto in turn', () => {
  const metadata = { name: 'web', namespace: 'default', uid: 'u-1', attempt: 0 };

  it('for a sandbox are taken, or refused by the name of the field', () => {
    const settings = configSchema.parse({ containerd: { runtimes: { runc: {} } } });
    const base = { config: { metadata, linux: { securityContext: { namespaceOptions: {} } } } };
    const requests = received<RunPodSandboxRequest__Output>('RunPodSandbox', base);
    assert.ok(refusals(requests, (one) => planSandbox(one.config, one.runtimeHandler, settings)) > 100);
  });

  it('for a container are taken, or refused by the name of the field', () => {
    const sandbox = {
      record: { config: { metadata, logDirectory: '/var/log/pods/web' } },
    } as unknown as Sandbox;
    const image = { image: 'tiny' };
    const base = { config: { metadata: { name: 'main' }, image, mounts: [{ image, readonly: true }] } };
    const requests = received<CreateContainerRequest__Output>('CreateContainer', base);
    assert.ok(refusals(requests, (one) => planContainer(one.config, sandbox)) > 30);
  });
});
