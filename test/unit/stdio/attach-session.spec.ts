import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';
import { AttachSession } from '../../../src/stdio/attach.ts';
import type { FromClient } from '../../../src/stdio/protocol.ts';

const CHUNKS = 100;

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

describe('a session of attach', () => {
  it('keeps no chunk of stdin that the container has taken', async () => {
    const { port1, port2 } = new MessageChannel();
    const client = new AbortController();
    const sent: WeakRef<Uint8Array>[] = [];
    let taken = 0;
    port2.on('message', ({ kind }: FromClient) => {
      if (kind !== 'stdin') return;
      taken += 1;
      port2.postMessage({ kind: 'stdin-taken' });
    });
    const stdin = (async function* () {
      for (let i = 0; i < CHUNKS; i += 1) {
        const chunk = new Uint8Array(1024);
        sent.push(new WeakRef(chunk));
        yield chunk;
      }
      // The client goes on, and types nothing.
      await new Promise<never>(() => undefined);
    })();
    const session = new AttachSession(port1, { stdin }, { signal: client.signal, endsContainerStdin: true });
    try {
      while (taken < CHUNKS) await turn();
      await turn();
      collectGarbage();
      const kept = sent.filter((one) => one.deref() !== undefined).length;
      assert.ok(kept <= 2, `${kept} of ${CHUNKS} are kept`);
    } finally {
      client.abort(new Error('the client is gone'));
      await assert.rejects(session.ended, /the client is gone/);
      port2.close();
    }
  });
});
