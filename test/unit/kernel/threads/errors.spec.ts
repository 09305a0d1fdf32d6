import assert from 'node:assert/strict';
import { errorToFacts, factsToError } from '../../../../src/kernel/threads/errors.ts';

const across = (thrown: unknown): Error & Record<string, unknown> =>
  factsToError(structuredClone(errorToFacts(thrown))) as Error & Record<string, unknown>;

describe('errors between threads', () => {
  it('may be no errors at all', () => {
    assert.equal(across('text').message, 'text');
    assert.equal(across(undefined).message, 'undefined');
  });

  it('keep plain properties and leave behind what cannot be copied', () => {
    const error = Object.assign(new Error('x'), {
      code: 'ENOENT',
      details: { list: [1, null, { deep: true }] },
      callback: () => 1,
      socket: new URL('unix:/x'),
    });
    const { code, details, callback, socket } = across(error);
    assert.deepEqual(
      { code, details, callback, socket },
      {
        code: 'ENOENT',
        details: { list: [1, null, { deep: true }] },
        callback: undefined,
        socket: undefined,
      },
    );
  });

  it('keep where they were thrown', () => {
    assert.match(across(new Error('x')).stack ?? '', /errors\.spec/);
  });

  it('keep their causes, and end with those that go round', () => {
    assert.equal(
      (across(new Error('outer', { cause: new TypeError('inner') })).cause as Error).name,
      'TypeError',
    );
    const loop = new Error('loop');
    loop.cause = loop;
    let depth = 0;
    for (let error: unknown = across(loop); error instanceof Error; error = error.cause) {
      depth += 1;
    }
    assert.equal(depth, 9);
  });
});
