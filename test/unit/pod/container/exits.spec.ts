import assert from 'node:assert/strict';
import { BerthError } from '../../../../src/lib/errors.ts';
import { createLogger } from '../../../../src/lib/log.ts';
import { ExitMonitor } from '../../../../src/pod/container/exits.ts';
import type { PodDeps } from '../../../../src/pod/deps.ts';
import { eventually } from '../../../helpers/fixture.ts';

describe('the monitor of exits', () => {
  it('has the engine keep the ends that it alone knows until they are recorded', async () => {
    const calls: string[] = [];
    const engine = {
      async *events() {
        yield { kind: 'subscribed' };
        yield { kind: 'subscribed' };
      },
      tasks: async () => {
        calls.push('tasks');
        if (calls.length === 1) throw new BerthError('UNAVAILABLE', 'the engine is away again');
        return [];
      },
      compared: () => void calls.push('compared'),
      releaseFormer: async () => undefined,
      owned: async () => [],
    };
    const none = { all: () => [] };
    const deps = {
      store: none,
      containers: { engine, store: none, executions: { endAbandoned: () => undefined } },
      log: createLogger({ level: 'fatal', format: 'text' }),
    } as unknown as PodDeps;
    const monitor = new ExitMonitor(deps);
    monitor.start();
    await eventually('it has compared twice', () => (calls.length >= 3 ? true : undefined));
    await monitor.stop();
    assert.deepEqual(calls, ['tasks', 'tasks', 'compared']);
  });
});
