import assert from 'node:assert/strict';
import { type EndedContainer, OomKills } from '../../../../src/pod/container/oom-kills.ts';
import { CgroupFixture } from '../stats/fixtures.ts';

const parent = 'kubepods-pod1.slice';
const slice = `kubepods.slice/${parent}`;
const sandbox = {};

describe('OOM kills below a slice', () => {
  let fixture: CgroupFixture;
  let kills: OomKills;

  beforeEach(() => {
    fixture = new CgroupFixture(2);
    kills = new OomKills(fixture.trees);
    count(0);
  });

  afterEach(() => {
    fixture[Symbol.dispose]();
  });

  it("are told by the container's own count while it is there", () => {
    count(1);
    count(1, 'a');
    assert.equal(ends('a', { exitCode: 1 }), true);
  });

  it("are told by the slice's once the scope is gone, and of each container alone", () => {
    count(1);
    assert.equal(ends('a'), true);
    assert.equal(ends('b', { isFirst: false }), false, 'somebody else killed it');
    count(2);
    assert.equal(ends('c', { isFirst: false }), true);
    count(3);
    assert.equal(ends('d', { isFirst: false, exitCode: 1 }), false, 'it lost a child, and ended by itself');
    assert.equal(ends('e', { isFirst: false }), false);
  });

  it('are not those of another container that runs on', () => {
    count(1);
    count(1, 'b');
    assert.equal(ends('a', { others: ['b'] }), false);
  });

  it('are left to another that has ended at the same time', () => {
    count(1);
    assert.equal(ends('a', { exitCode: 1, others: ['b'] }), false);
    assert.equal(ends('b', { isFirst: false }), true);
    count(3);
    assert.equal(ends('c', { others: ['d'], isFirst: false }), true);
    assert.equal(ends('d', { isFirst: false }), true);
  });

  it('of containers before the first that is asked about are nobody’s', () => {
    count(1);
    assert.equal(ends('a', { isFirst: false }), false);
  });

  it('of cgroups by path are told by those alone, which stay', () => {
    fixture.write({ 'kubepods/pod1/memory.events': 'oom_kill 1\n' });
    assert.equal(ends('a', { parent: '/kubepods/pod1' }), false);
  });

  /** What the slice has counted, or a container's scope in it. */
  function count(times: number, id?: string): void {
    const directory = id === undefined ? slice : `${slice}/berth-${id}.scope`;
    fixture.write({ [`${directory}/memory.events`]: `oom 0\noom_kill ${times}\n` });
  }

  function ends(id: string, more: Partial<EndedContainer> = {}): boolean {
    return kills.wasIn({ id, parent, exitCode: 137, others: [], isFirst: true, ...more }, sandbox);
  }
});
