import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { KnownFeatures } from '../../../src/oci/known-features.ts';
import { quietLogger } from '../../fakes/logger.ts';

const ANSWER = JSON.stringify({ mountOptions: ['rro'], linux: { namespaces: ['user'] } });
const TOLD = { recursiveReadOnly: true, idmap: false, userNamespaces: true };
const NOTHING = { name: 'h', recursiveReadOnly: false, idmap: false, userNamespaces: false };

describe('the features of an OCI runtime', () => {
  let directory: string;
  let binary: string;
  let features: KnownFeatures;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-features-'));
    binary = join(directory, 'runtime');
  });
  afterEach(() => {
    features.stop();
    rmSync(directory, { recursive: true });
  });

  /** A runtime that does `first` when it is asked for the first time, and answers from then on. */
  const runtime = (first: string): void =>
    writeFileSync(
      binary,
      `#!/bin/sh\necho $$ >> ${directory}/asked\nif [ $(wc -l < ${directory}/asked) = 1 ]; then ${first}; fi\necho '${ANSWER}'\n`,
      { mode: 0o755 },
    );
  const pids = (): string[] => readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n');
  const ask = (times: ConstructorParameters<typeof KnownFeatures>[1] = {}): Promise<void> => {
    features = new KnownFeatures(quietLogger, { firstPauseMs: 1, mostPauseMs: 5, ...times });
    return features.ask(new Map([['h', binary]]));
  };
  const told = async (): Promise<void> => {
    while (!features.of('h').recursiveReadOnly) await after(5);
    assert.deepEqual(features.of('h'), { name: binary, ...TOLD });
  };

  it('are there once it was asked', async () => {
    runtime('true');
    await ask();
    assert.deepEqual(features.of('h'), { name: binary, ...TOLD });
    assert.deepEqual(features.of('other'), { ...NOTHING, name: 'other' });
  });

  it('come later when it could not be run at first', async () => {
    await ask();
    assert.deepEqual(features.of('h'), NOTHING);
    runtime('true');
    await told();
  });

  it('come later when it failed at first, and until then it has user namespaces', async () => {
    runtime('exit 1');
    await ask({ firstPauseMs: 200 });
    const { recursiveReadOnly, userNamespaces } = features.of('h');
    assert.deepEqual(
      { recursiveReadOnly, userNamespaces },
      { recursiveReadOnly: false, userNamespaces: true },
    );
    await told();
  });

  it('come later when it hangs at first, which nobody waits for longer than the first time', async () => {
    runtime('trap "" TERM; exec sleep 60');
    await ask({ firstMs: 20, answerMs: 500 });
    assert.deepEqual(features.of('h'), NOTHING);
    await told();
  });

  it('count when the first answer is only slow', async () => {
    runtime('sleep 0.3');
    await ask({ firstMs: 20 });
    assert.deepEqual(features.of('h'), NOTHING);
    await told();
    assert.equal(pids().length, 1);
  });

  it('are not asked for ever of one that keeps exiting with an error', async () => {
    writeFileSync(binary, `#!/bin/sh\necho $$ >> ${directory}/asked\nexit 3\n`, { mode: 0o755 });
    await ask();
    while (pids().length < 8) await after(5);
    await after(50);
    assert.equal(pids().length, 8);
  });

  it('are asked of nobody after stop, which ends one that is being asked', async () => {
    runtime('exec sleep 60');
    const asked = ask();
    while (!existsSync(join(directory, 'asked'))) await after(5);
    features.stop();
    await asked;
    const [pid = ''] = pids();
    while (existsSync(`/proc/${pid}`)) await after(5);
    await after(50);
    assert.equal(pids().length, 1);
  });
});
