import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineState } from './helpers/machine-state.ts';
import type { MachineState } from './helpers/machine-state.ts';

// The kernel destroys a namespace, and the veth ends with it, some time after its last user is gone.
const SETTLE_MS = 5000;

let before: MachineState | undefined;

async function settled(expected: MachineState): Promise<MachineState> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const now = machineState();
    if (JSON.stringify(now) === JSON.stringify(expected) || Date.now() > deadline) return now;
    await sleep(50);
  }
}

/** The leak check around a whole run: what the tests found on the machine is what they leave there. */
export const mochaHooks = {
  beforeAll(): void {
    before = machineState();
  },

  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(SETTLE_MS + 10_000);
    if (before !== undefined)
      assert.deepEqual(await settled(before), before, 'the tests left something behind');
  },
};
