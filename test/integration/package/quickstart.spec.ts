import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../../src/lib/package-root.ts';
import { PATIENCE_MS } from '../../helpers/patience.ts';

const script = join(packageRoot(), '.ci/quickstart.mjs');
const options = { reject: false } as const;

/** What it makes on the machine, beside what lies in the network of the tests, whose leftovers the suite looks for itself. */
function left(): string[] {
  const shared = ['/run/containerd', '/run/runc'].filter((path) => existsSync(path));
  return [...shared, ...readdirSync(tmpdir()).filter((name) => name.startsWith('berth-quickstart-'))];
}

describe('npm run quickstart', function () {
  this.timeout(10 * PATIENCE_MS);

  it('shows a pod, its address and the steps to it, reaches it, and takes all of it away', async () => {
    const before = left();
    const { exitCode, stdout, stderr } = await execa(process.execPath, [script], options);
    assert.equal(exitCode, 0, stderr);
    const address = /"ip": "([\d.]+)"/.exec(stdout)?.[1] ?? 'no address';
    assert.match(stdout, new RegExp(`3 received[^]*hello from hello[^]*${address.replaceAll('.', '\\.')}`));
    assert.match(stdout, /ADD +bridge[^]*Everything that this created is gone again/);
    assert.deepEqual(left(), before);
  });

  for (const signal of ['SIGTERM', 'SIGHUP'] as const)
    it(`takes away what it has made so far on ${signal}, as when its terminal is closed`, async () => {
      const before = left();
      const run = execa(process.execPath, [script], options);
      for await (const line of run.iterable()) if (line.startsWith('2. A pod')) run.kill(signal);
      const { exitCode, stdout, stderr } = await run;
      assert.equal(exitCode, 1, stderr);
      assert.match(stderr, new RegExp(`ended by ${signal}`));
      assert.ok(!stdout.includes('6. A container in it'), stdout);
      assert.deepEqual(left(), before);
    });
});
