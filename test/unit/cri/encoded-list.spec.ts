import assert from 'node:assert/strict';
import { encodingOnce } from '../../../src/cri/encoded-list.ts';
import { loadCri } from '../../../src/lib/proto.ts';

describe('encodingOnce', () => {
  const { ListContainers } = loadCri().RuntimeService.service;
  const item = (id: string): object => ({ id, labels: { app: id }, state: 'CONTAINER_RUNNING' });

  /** What the client reads of an answer with these items. */
  function ids(method: ReturnType<typeof encodingOnce>, containers: object[]): string[] {
    const bytes = method.responseSerialize({ containers });
    assert.deepEqual(bytes, ListContainers.responseSerialize({ containers: containers }));
    return ListContainers.responseDeserialize(bytes).containers.map(({ id }) => id);
  }

  it('encodes what the plain method does, also when an item is replaced, added or gone', () => {
    const method = encodingOnce(ListContainers as never, 'containers');
    const [a, b, c] = [item('a'), item('b'), item('c')];
    assert.deepEqual(ids(method, [a, b]), ['a', 'b']);
    assert.deepEqual(ids(method, [a, b]), ['a', 'b']);
    assert.deepEqual(ids(method, [a, c]), ['a', 'c']);
    assert.deepEqual(ids(method, [a]), ['a']);
    assert.deepEqual(ids(method, [a, c, b]), ['a', 'c', 'b']);
    assert.deepEqual(ids(method, []), []);
  });

  it('gives the same bytes for the same list', () => {
    const method = encodingOnce(ListContainers as never, 'containers');
    const containers = [item('a'), item('b')];
    const first = method.responseSerialize({ containers });
    assert.equal(method.responseSerialize({ containers: [...containers] }), first);
  });
});
