import assert from 'node:assert/strict';
import { requireImage } from '../../../src/cri/image/require-image.ts';
import { requireCommand } from '../../../src/cri/runtime/require-command.ts';
import type { ImageSpec__Output } from '../../../src/gen/runtime/v1/ImageSpec.ts';

const refused = (field: string) => ({ code: 'INVALID_ARGUMENT', meta: { field } });

describe('a request', () => {
  it('to execute nothing, what no path can be, or half of something, is refused', () => {
    assert.throws(() => requireCommand([]), refused('cmd'));
    assert.throws(() => requireCommand(['x'.repeat(4_096)]), refused('cmd[0]'));
    assert.throws(() => requireCommand(['echo', 'a\0b']), refused('cmd[1]'));
    requireCommand(['sh', '-c', 'x'.repeat(100_000)]);
  });

  it('for an image without a name, or with an endless one, is refused', () => {
    const named = (image: string): ImageSpec__Output => ({ image }) as ImageSpec__Output;
    assert.throws(() => requireImage(null), refused('image.image'));
    assert.throws(() => requireImage(named('')), refused('image.image'));
    assert.throws(() => requireImage(named('x'.repeat(5_000))), refused('image.image'));
    requireImage(named(`registry.example/a/b@sha256:${'0'.repeat(64)}`));
  });
});
