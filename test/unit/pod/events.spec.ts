import assert from 'node:assert/strict';
import { directFiles } from '../../../src/lib/atomic-file.ts';
import { createLogger } from '../../../src/lib/log.ts';
import { PodEvents } from '../../../src/pod/events.ts';
import { newState, sandboxFiles, type SandboxRecord } from '../../../src/pod/sandbox/record.ts';
import { Sandbox } from '../../../src/pod/sandbox/sandbox.ts';

const log = createLogger({ level: 'fatal', format: 'json' });
const sandbox = new Sandbox({ id: 'a' } as SandboxRecord, sandboxFiles('/nowhere', directFiles), {
  ...newState,
  phase: 'ready',
});

describe('PodEvents', () => {
  it('gives each subscriber every event from then on, in order, and ends with the signal', async () => {
    const events = new PodEvents(log);
    const end = new AbortController();
    const read = async (): Promise<string[]> => {
      const types: string[] = [];
      for await (const event of events.subscribe(end.signal)) types.push(event.type);
      return types;
    };
    const readers = [read(), read()];
    events.publish('CONTAINER_CREATED_EVENT', sandbox);
    events.publish('CONTAINER_STARTED_EVENT', sandbox);
    await new Promise((resolve) => setTimeout(resolve, 5));
    end.abort();
    const both = ['CONTAINER_CREATED_EVENT', 'CONTAINER_STARTED_EVENT'];
    assert.deepEqual(await Promise.all(readers), [both, both]);
  });

  it('drops the oldest events of a subscriber that does not read, and never waits for it', async () => {
    const events = new PodEvents(log);
    const end = new AbortController();
    const subscription = events.subscribe(end.signal);
    const first = subscription.next();
    events.publish('CONTAINER_CREATED_EVENT', sandbox);
    await first;
    for (let i = 0; i < 5_000; i += 1) events.publish('CONTAINER_STOPPED_EVENT', sandbox);
    end.abort();
    let read = 0;
    for await (const event of subscription) read += event.type === 'CONTAINER_STOPPED_EVENT' ? 1 : 0;
    assert.equal(read, 1_000);
  });
});
