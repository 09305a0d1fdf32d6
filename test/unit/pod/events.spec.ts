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

  it('keeps events while nobody listens for who listens next, if that is not too late', async () => {
    const events = new PodEvents(log, 200);
    const read = async (): Promise<string[]> => {
      const end = new AbortController();
      const types: string[] = [];
      setTimeout(() => end.abort(), 5);
      for await (const event of events.subscribe(end.signal)) types.push(event.type);
      return types;
    };
    events.publish('CONTAINER_CREATED_EVENT', sandbox);
    events.publish('CONTAINER_STARTED_EVENT', sandbox);
    // The first has them, and whoever comes after it has not.
    assert.deepEqual(await Promise.all([read(), read()]), [
      ['CONTAINER_CREATED_EVENT', 'CONTAINER_STARTED_EVENT'],
      [],
    ]);
    events.publish('CONTAINER_STOPPED_EVENT', sandbox);
    assert.deepEqual(await read(), ['CONTAINER_STOPPED_EVENT']);
    events.publish('CONTAINER_DELETED_EVENT', sandbox);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(await read(), []);
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
