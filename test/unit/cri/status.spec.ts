import assert from 'node:assert/strict';
import { handlerFeatures } from '../../../src/cri/runtime/status.ts';
import { features } from '../oci/spec-input.ts';

describe('Status', () => {
  it('tells of user namespaces only where mounts can be mapped, too: kubelet asks for both', () => {
    const told = (idmap: boolean, userNamespaces: boolean): boolean | undefined =>
      handlerFeatures(features({ idmap, userNamespaces })).userNamespaces;
    assert.deepEqual([told(true, true), told(false, true), told(true, false)], [true, false, false]);
  });
});
