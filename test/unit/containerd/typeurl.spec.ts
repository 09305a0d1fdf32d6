import assert from 'node:assert/strict';
import { loadContainerd } from '../../../src/containerd/api.ts';
import { allOf, fieldIs, hasLabel } from '../../../src/containerd/filters.ts';
import { fromTimestamp, toTimestamp } from '../../../src/containerd/timestamp.ts';
import {
  fromJsonAny,
  fromMessageAny,
  messageAny,
  runcOptionsAny,
  runtimeSpecAny,
  shimConfigAny,
} from '../../../src/containerd/typeurl.ts';

describe('a value of any type', () => {
  const api = loadContainerd();

  it('is JSON for documents of the runtime specification', () => {
    const any = runtimeSpecAny('Spec', { ociVersion: '1.0.2', process: { args: ['é'] } });
    assert.equal(any.type_url, 'types.containerd.io/opencontainers/runtime-spec/1/Spec');
    assert.deepEqual(fromJsonAny(any), { ociVersion: '1.0.2', process: { args: ['é'] } });
    assert.equal(fromJsonAny(null), undefined);
  });

  it('is refused when it is no JSON object', () => {
    for (const text of ['', 'no', '[]', 'null', '3']) {
      const any = { type_url: 'some/type', value: Buffer.from(text) };
      assert.throws(() => fromJsonAny(any), {
        code: 'INTERNAL',
        message: 'a value of type "some/type" is no JSON object',
      });
    }
  });

  it("is protobuf for the shim's options, as containerd reads them", () => {
    const any = runcOptionsAny(api, { binaryName: 'crun', systemdCgroup: true });
    assert.equal(any.type_url, 'containerd.runc.v1.Options');
    // Field 6, a string of four bytes; field 9, true.
    assert.deepEqual(any.value, Buffer.from([0x32, 4, ...Buffer.from('crun'), 0x48, 1]));
  });

  it('names the options of another shim and their file', () => {
    const any = shimConfigAny(api, 'io.containerd.runsc.v1', '/c');
    assert.equal(any.type_url, 'runtimeoptions.v1.Options');
    const type = 'io.containerd.runsc.v1.options';
    assert.deepEqual(any.value, Buffer.from([0x0a, type.length, ...Buffer.from(type), 0x12, 2, 0x2f, 0x63]));
  });

  it('is read only as what it is, whatever stands before the name', () => {
    const { ProcessDetails } = api.runc.v1;
    const name = 'containerd.runc.v1.ProcessDetails';
    const any = messageAny(name, ProcessDetails, { execId: 'e' });
    assert.equal(fromMessageAny(name, ProcessDetails, any)?.execId, 'e');
    const hosted = { ...any, type_url: `type.googleapis.com/${name}` };
    assert.equal(fromMessageAny(name, ProcessDetails, hosted)?.execId, 'e');
    assert.equal(fromMessageAny('another', ProcessDetails, any), undefined);
    assert.equal(fromMessageAny(name, ProcessDetails, null), undefined);
  });
});

describe("containerd's times", () => {
  it('are nanoseconds, with 0 for none and for the zero time of Go', () => {
    assert.equal(fromTimestamp({ seconds: '1753000000', nanos: 1 }), 1_753_000_000_000_000_001n);
    assert.equal(fromTimestamp({ seconds: '-62135596800', nanos: 0 }), 0n);
    assert.equal(fromTimestamp(null), 0n);
    assert.deepEqual(toTimestamp(1_753_000_000_000_000_001n), { seconds: '1753000000', nanos: 1 });
  });
});

describe("containerd's filters", () => {
  it('quote what could be taken for their own signs', () => {
    assert.equal(hasLabel('io.berth/x', 'a,b"c\\'), 'labels."io.berth/x"=="a,b\\"c\\\\"');
    assert.equal(allOf(fieldIs('topic', '/a'), 'x~="^y"'), 'topic=="/a",x~="^y"');
  });
});
