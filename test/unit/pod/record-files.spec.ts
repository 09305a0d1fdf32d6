import assert from 'node:assert/strict';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { directFiles } from '../../../src/lib/atomic-file.ts';
import { Recorded } from '../../../src/pod/recorded.ts';
import { RecordFiles, STATES_MOST } from '../../../src/pod/record-files.ts';
import { Scratch } from '../../helpers/fixture.ts';

interface Note {
  readonly version: 1;
  readonly id: string;
  readonly createdAt: string;
  readonly text: string;
}

interface Phase {
  readonly phase: string;
}

describe('records', () => {
  let clock = 9n;
  let scratch: Scratch;
  let root: string;
  let files: RecordFiles<Note, Phase>;

  beforeEach(async () => {
    scratch = await Scratch.create();
    root = join(scratch.path, 'notes');
    files = new RecordFiles(scratch.path, 'notes');
    await files.readAll();
  });

  afterEach(async () => {
    await scratch[Symbol.asyncDispose]();
  });

  async function recorded(id: string): Promise<Recorded<Note, Phase>> {
    clock += 1n;
    const record = { version: 1 as const, id, createdAt: `${clock}`, text: 'of\nmany\nlines' };
    await files.writeIntent(record);
    return new Recorded(record, files, { phase: 'new' });
  }

  it('are read back with the last state, or none', async () => {
    const half = await recorded('half');
    const whole = await recorded('whole');
    for (const phase of ['one', 'two', 'three']) await whole.update({ phase });
    const { stored, unreadable } = await files.readAll();
    assert.deepEqual(unreadable, []);
    assert.deepEqual(stored, [
      { record: half.record, state: undefined },
      { record: whole.record, state: { phase: 'three' } },
    ]);
  });

  it('are read back in the order of their times, whatever they are called', async () => {
    clock = 8n;
    for (const id of ['c', 'a', 'b']) await recorded(id);
    const { stored } = await files.readAll();
    assert.deepEqual(
      stored.map(({ record }) => [record.id, record.createdAt]),
      [
        ['c', '9'],
        ['a', '10'],
        ['b', '11'],
      ],
    );
  });

  it('have the state before a torn one, which the next does not continue', async () => {
    const one = await recorded('torn');
    await one.update({ phase: 'kept' });
    await appendFile(files.path('torn'), '{"phase":"hal');
    assert.deepEqual((await files.readAll()).stored[0]?.state, { phase: 'kept' });
    await one.update({ phase: 'next' });
    assert.deepEqual((await files.readAll()).stored[0]?.state, { phase: 'next' });
  });

  it('do not grow without end', async () => {
    const one = await recorded('busy');
    for (let i = 0; i < 200; i += 1) await one.update({ phase: `phase ${i}` });
    assert.ok((await readFile(files.path('busy'), 'utf8')).split('\n').length < 40);
    const { stored } = await files.readAll();
    assert.deepEqual(stored, [{ record: one.record, state: { phase: 'phase 199' } }]);
  });

  it('do not grow from one daemon to the next', async () => {
    const { record } = await recorded('old');
    for (let daemon = 0; daemon < 20; daemon += 1) {
      const one = new Recorded(record, files, { phase: 'read' });
      for (let i = 0; i < 20; i += 1) await one.update({ phase: `${daemon} ${i}` });
      const { stored } = await files.readAll();
      assert.deepEqual(stored, [{ record, state: { phase: `${daemon} 19` } }]);
      assert.ok((await readFile(files.path('old'), 'utf8')).split('\n').length < 40);
    }
  });

  it('are read on a disk that takes no writes, and a torn state is not continued once it does', async () => {
    const one = await recorded('stuck');
    await recorded('whole');
    for (let i = 0; i <= STATES_MOST; i += 1) await files.addState('stuck', { phase: `phase ${i}` });
    await files.addState('whole', { phase: 'only' });
    await appendFile(files.path('stuck'), '{"phase":"hal');
    const full = (): Promise<never> => Promise.reject(new Error('no space left on device'));
    const next = new RecordFiles<Note, Phase>(scratch.path, 'notes', { ...directFiles, write: full });
    const { stored } = await next.readAll();
    assert.deepEqual(stored.map(({ state }) => state?.phase).toSorted(), ['only', `phase ${STATES_MOST}`]);
    await new Recorded(one.record, next, { phase: 'read' }).update({ phase: 'next' });
    const after = (await files.readAll()).stored.find(({ record }) => record.id === 'stuck');
    assert.deepEqual(after?.state, { phase: 'next' });
  });

  it('are gone once forgotten, with all that is theirs, whatever is being written', async () => {
    const one = await recorded('gone');
    await mkdir(join(files.directory('gone'), 'volume'), { recursive: true });
    await writeFile(files.specPath('gone'), '{}');
    const writes = [one.update({ phase: 'last' }), one.forget(), one.update({ phase: 'too late' })];
    await Promise.all(writes);
    assert.deepEqual(await readdir(root), []);
    assert.equal(one.state.phase, 'too late');
  });

  it('whose intent cannot be read stay for a person to see; what has no intent goes', async () => {
    await recorded('good');
    await writeFile(files.path('empty'), '');
    await writeFile(files.path('other'), '{"version":1,"id":"another","createdAt":"1"}\n');
    await writeFile(files.path('timeless'), '{"version":1,"id":"timeless"}\n');
    await writeFile(files.path('newer'), '{"version":2,"id":"newer","createdAt":"1"}\n');
    await writeFile(files.specPath('empty'), '{}');
    await writeFile(files.specPath('forgotten'), '{}');
    await writeFile(`${files.path('good')}.1-0-1.tmp`, '{');
    await mkdir(files.directory('forgotten'));
    const { stored, unreadable } = await files.readAll();
    assert.deepEqual(
      stored.map(({ record }) => record.id),
      ['good'],
    );
    assert.deepEqual(
      unreadable.toSorted(),
      ['empty', 'newer', 'other', 'timeless'].map((id) => files.path(id)),
    );
    assert.deepEqual((await readdir(root)).toSorted(), [
      'empty.jsonl',
      'empty.spec.json',
      'good.jsonl',
      'newer.jsonl',
      'other.jsonl',
      'timeless.jsonl',
    ]);
  });
});
