import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { protoNames } from '../../../src/cri/proto-names.ts';
import { services } from '../../../src/cri/services.ts';
import { toServiceError } from '../../../src/cri/status.ts';
import { BerthError } from '../../../src/lib/errors.ts';

describe('toServiceError', () => {
  it('keeps the code and the text', () => {
    const error = toServiceError(new BerthError('NOT_FOUND', 'sandbox "x" not found'));
    assert.equal(error.code, status.NOT_FOUND);
    assert.equal(error.details, 'sandbox "x" not found');
  });

  it('makes UNKNOWN of what nobody classified', () => {
    assert.equal(toServiceError(new TypeError('oops')).code, status.UNKNOWN);
  });

  for (const [what, text] of [
    ['a long text', 'x'.repeat(50_000)],
    ['a text that grows when it is encoded', '\u00e9\u{1f6a2}'.repeat(5_000)],
    ['half a surrogate pair', `${'a'.repeat(5_000)}\ud83d`],
  ] as const) {
    it(`keeps ${what} under 4 KiB as it travels`, () => {
      const { details } = toServiceError(new Error(text));
      assert.ok(encodeURI(details).length < 4096, String(encodeURI(details).length));
      assert.ok(details.length > 100);
    });
  }
});

describe('protoNames', () => {
  it('writes field names as the proto does and leaves the keys of maps alone', () => {
    const config = {
      logDirectory: '/x',
      labels: { appName: 'a' },
      linux: { cgroupParent: '/y', sysctls: { netX: '1' } },
    };
    assert.deepEqual(protoNames(config), {
      log_directory: '/x',
      labels: { appName: 'a' },
      linux: { cgroup_parent: '/y', sysctls: { netX: '1' } },
    });
  });
});

describe('services', () => {
  it('names only RPCs that the proto has, each for what it is: unary or stream', () => {
    for (const { definition, unary, streams } of services()) {
      for (const method of Object.keys(unary))
        assert.equal(definition[method]?.responseStream, false, method);
      for (const method of Object.keys(streams))
        assert.equal(definition[method]?.responseStream, true, method);
    }
  });
});
