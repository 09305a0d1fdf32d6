import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseEngine, type EngineChoice, type Machine } from '../../../src/containerd/engine-choice.ts';
import type { Logger } from '../../../src/lib/log.ts';

describe('the choice of the engine', () => {
  let root: string;
  let warnings: string[];
  const log: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message) => void warnings.push(message),
    error: () => undefined,
    child: () => log,
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-choice-'));
    warnings = [];
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const bare = (): Machine => ({ defaultSocket: join(root, 'c.sock'), waitMs: 0, hasUnit: () => false });
  const choose = (address: string, machine: Partial<Machine> = {}): Promise<EngineChoice> =>
    chooseEngine({ address, root, log, machine: { ...bare(), ...machine } });
  const external = (address: string): EngineChoice => ({ kind: 'external', address });

  it('is embedded on a machine without containerd, and stays so when one comes', async () => {
    assert.deepEqual(await choose(''), { kind: 'embedded' });
    assert.deepEqual(await choose('', { hasUnit: () => true }), { kind: 'embedded' });
  });

  it('is the default socket where its file or its unit exists, and stays so when they go', async () => {
    assert.deepEqual(await choose('', { hasUnit: () => true }), external(join(root, 'c.sock')));
    assert.deepEqual(await choose(''), external(join(root, 'c.sock')));
    rmSync(join(root, 'engine.json'));
    writeFileSync(join(root, 'c.sock'), '');
    assert.deepEqual(await choose(''), external(join(root, 'c.sock')));
  });

  it('waits for a default socket that is only just made', async () => {
    const server = createServer();
    setTimeout(() => server.listen(join(root, 'c.sock')), 50);
    try {
      assert.deepEqual(await choose('', { waitMs: 5_000 }), external(join(root, 'c.sock')));
    } finally {
      server.close();
    }
  });

  it('ends the wait, and records nothing, when it is told to', async () => {
    const choosing = chooseEngine(
      { address: '', root, log, machine: { ...bare(), waitMs: 60_000 } },
      { signal: AbortSignal.timeout(20) },
    );
    await assert.rejects(choosing, { name: 'TimeoutError' });
    assert.throws(() => readFileSync(join(root, 'engine.json')), { code: 'ENOENT' });
  });

  it('follows the configuration, and warns when that means another engine than before', async () => {
    assert.deepEqual(await choose('embedded'), { kind: 'embedded' });
    assert.deepEqual(await choose('embedded'), { kind: 'embedded' });
    assert.deepEqual(warnings, []);
    assert.deepEqual(await choose('/run/other.sock'), external('/run/other.sock'));
    assert.equal(warnings.length, 1);
    assert.deepEqual(await choose(''), external('/run/other.sock'));
    assert.deepEqual(JSON.parse(readFileSync(join(root, 'engine.json'), 'utf8')), {
      engine: '/run/other.sock',
    });
  });

  it('is not guessed when its record is damaged', async () => {
    for (const text of ['', '{', '{}', '[]', '{"engine": 3}', '{"engine": "relative"}']) {
      writeFileSync(join(root, 'engine.json'), text);
      await assert.rejects(choose(''), {
        code: 'FAILED_PRECONDITION',
        message: /failed to read the chosen engine/,
      });
    }
  });
});
