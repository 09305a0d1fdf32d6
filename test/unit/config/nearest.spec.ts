import assert from 'node:assert/strict';
import { nearest } from '../../../src/config/nearest.ts';

describe('the nearest word', () => {
  it('is the one with the fewest mistakes', () => {
    assert.equal(nearest('conf_dirs', ['bin_dirs', 'conf_dir', 'cache_dir']), 'conf_dir');
    assert.equal(nearest('inspct', ['run', 'ps', 'inspect', 'stop', 'rm']), 'inspect');
    assert.equal(nearest('ps', ['ps']), 'ps');
  });

  it('is none when all are far', () => {
    assert.equal(nearest('frobnicate', ['conf_dir', 'bin_dirs']), undefined);
    assert.equal(nearest('x', []), undefined);
  });
});
