import assert from 'node:assert/strict';
import { observedMetrics } from '../../../src/daemon/observed.ts';
import type { Debts } from '../../../src/network/debts.ts';
import type { Leases } from '../../../src/network/plugins/ipam/dhcp/leases.ts';
import { SandboxStore } from '../../../src/pod/sandbox/store.ts';

describe('metrics', () => {
  it('are kept only where somebody can ask for them, as watching the process keeps an idle one awake', async () => {
    const none = { list: () => [] };
    const metrics = await observedMetrics(
      { address: '' },
      new SandboxStore(),
      none as unknown as Debts,
      none as unknown as Leases,
    );
    assert.equal(metrics, undefined);
  });
});
