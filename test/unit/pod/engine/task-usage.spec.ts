import assert from 'node:assert/strict';
import { loadContainerd } from '../../../../src/containerd/api.ts';
import { messageAny } from '../../../../src/containerd/typeurl.ts';
import { usageOf } from '../../../../src/pod/engine/task-usage.ts';

describe('what a shim tells that a task uses', () => {
  const api = loadContainerd();
  const { v1, v2 } = api.io.containerd.cgroups;
  const nothing = { cache: 0n, mappedFile: 0n, activeFile: 0n, majorPageFaults: 0n, ownMajorPageFaults: 0n };

  it('is understood in terms of either version of cgroups', () => {
    const first = messageAny('io.containerd.cgroups.v1.Metrics', v1.Metrics, {
      cpu: { usage: { total: '9007199254740993' } },
      memory: {
        usage: { usage: 1_000, limit: '9223372036854771712' },
        totalInactiveFile: 100,
        totalRss: 300,
        totalPgFault: 7,
        pgFault: 6,
      },
      pids: { current: 3 },
    });
    assert.deepEqual(usageOf(api, { at: 1n, data: first }), {
      at: 1n,
      cpu: { usageNanos: 9007199254740993n },
      memory: {
        ...nothing,
        usage: 1_000n,
        inactiveFile: 100n,
        workingSet: 900n,
        limit: undefined,
        swap: undefined,
        rss: 300n,
        pageFaults: 7n,
        ownPageFaults: 6n,
      },
      processes: { processes: 3n },
    });
    const second = messageAny('io.containerd.cgroups.v2.Metrics', v2.Metrics, {
      cpu: { usageUsec: 5 },
      memory: { usage: 1_000, usageLimit: 4_096, inactiveFile: 2_000, anon: 300, pgfault: 7 },
    });
    assert.deepEqual(usageOf(api, { at: 1n, data: second }), {
      at: 1n,
      cpu: { usageNanos: 5_000n },
      memory: {
        ...nothing,
        usage: 1_000n,
        inactiveFile: 2_000n,
        workingSet: 0n,
        limit: 4_096n,
        swap: undefined,
        rss: 300n,
        pageFaults: 7n,
        ownPageFaults: 7n,
      },
      processes: undefined,
    });
  });

  it('may have no limit, or be of a kind that is not known, or nothing', () => {
    for (const usageLimit of ['18446744073709551615', '0']) {
      const data = messageAny('io.containerd.cgroups.v2.Metrics', v2.Metrics, { memory: { usageLimit } });
      assert.equal(usageOf(api, { at: 1n, data })?.memory?.limit, undefined);
    }
    const data = { type_url: 'io.containerd.wasm.v1.Metrics', value: Buffer.alloc(0) };
    for (const unknown of [data, undefined]) assert.equal(usageOf(api, { at: 1n, data: unknown }), undefined);
  });
});
