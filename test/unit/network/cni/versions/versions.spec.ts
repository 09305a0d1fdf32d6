import assert from 'node:assert/strict';
import {
  compareVersions,
  isAtLeast,
  parseVersion,
  pickVersion,
  SUPPORTED_VERSIONS,
} from '../../../../../src/network/cni/versions/versions.ts';

describe('CNI versions', () => {
  it('are ordered by number, not by text', () => {
    assert.deepEqual([...SUPPORTED_VERSIONS].sort(compareVersions), SUPPORTED_VERSIONS);
    assert.ok(compareVersions('0.10.0', '0.9.0') > 0);
    assert.ok(isAtLeast('1.1.0', '1.1.0'));
    assert.ok(!isAtLeast('0.4.0', '1.0.0'));
  });

  it('take an empty text for 0.1.0 and missing parts for 0', () => {
    assert.deepEqual(parseVersion(''), [0, 1, 0]);
    assert.deepEqual(parseVersion('1'), [1, 0, 0]);
  });

  for (const text of ['1.2.3.4', 'v1.0.0', '1..0', '1.0.x', '-1.0.0', ' 1.0.0']) {
    it(`refuse "${text}"`, () => assert.throws(() => parseVersion(text), /invalid version/));
  }

  it('are picked from cniVersions: the highest that we speak', () => {
    assert.equal(pickVersion('0.4.0', ['1.0.0', '0.3.1']), '1.0.0');
    assert.equal(pickVersion('1.0.0', ['0.3.1']), '1.0.0');
    assert.equal(pickVersion('0.4.0', ['9.0.0', '1.1.0']), '1.1.0');
    assert.equal(pickVersion('', ['0.3.1']), '0.3.1');
  });

  it('are taken as given when cniVersions offers nothing', () => {
    assert.equal(pickVersion('1.0.0', []), '1.0.0');
    assert.equal(pickVersion('9.0.0', ['9.1.0']), '9.0.0');
  });

  it('are refused when an entry of cniVersions is none', () => {
    assert.throws(() => pickVersion('1.0.0', ['one']), /"one" is not a number/);
  });
});
