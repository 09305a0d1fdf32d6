import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { difference, machineState } from './helpers/machine-state.ts';

// The kernel destroys a namespace, and the veth ends with it, some time after its last user is gone.
const SETTLE_MS = 20_000;

let before: readonly string[] = [];

// The same cases in each run: whether a change passes must not hang on what chance tries. For others `PROPERTY_SEED=17`.
fc.configureGlobal({ seed: Number(process.env['PROPERTY_SEED'] ?? 1) });

/** What is there now and was not before, and the reverse; waits for what is about to go. */
async function changes(): Promise<{ left: string[]; missing: string[] }> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const now = machineState();
    const found = { left: difference(now, before), missing: difference(before, now) };
    if (found.left.length + found.missing.length === 0 || Date.now() > deadline) return found;
    await sleep(50);
  }
}

/** The leak check around a whole run: what the tests found on the machine is what they leave there. */
export const mochaHooks = {
  beforeAll(): void {
    before = machineState();
  },

  /** What failed in a test, and then in its disposal, for the reporter to print both. */
  afterEach(this: Mocha.Context): void {
    const failure = this.currentTest?.err;
    if (failure?.name !== 'SuppressedError') return;
    const { error, suppressed } = failure as Error & { error: unknown; suppressed: unknown };
    failure.message = `${inspect(suppressed)}\nand its disposal failed: ${inspect(error)}`;
    failure.stack = failure.message;
  },

  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(2 * SETTLE_MS);
    assert.deepEqual(
      await changes(),
      { left: [], missing: [] },
      'the tests left the machine in another state',
    );
  },
};
