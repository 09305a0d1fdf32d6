import assert from 'node:assert/strict';
import { createMetrics, type Scraped } from '../../../src/lib/metrics.ts';

const nothing: Scraped = {
  sandboxesByState: () => ({}),
  debts: () => ({ count: 0, oldestSeconds: 0 }),
  leasesByPhase: () => ({}),
};

describe('metrics', () => {
  it('watch the process only where somebody can ask for them, as that keeps an idle one awake', async () => {
    const hidden = await createMetrics(nothing, { served: false }).registry.metrics();
    assert.doesNotMatch(hidden, /^(nodejs|process)_/m);
    assert.match(hidden, /^berth_cni_debts 0$/m);
  });
});
