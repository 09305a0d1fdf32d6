import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import { StatusProber } from '../../../../../src/network/cni/configuration/status-prober.ts';
import type { StatusVerdict } from '../../../../../src/network/cni/configuration/readiness.ts';
import { CniError, type NetworkList } from '../../../../../src/network/cni/types.ts';
import { eventually } from '../../../../helpers/fixture.ts';

function network(name: string, cniVersion = '1.1.0'): NetworkList {
  return {
    name,
    cniVersion,
    disableCheck: false,
    disableGC: false,
    plugins: [{ type: 'x' }],
    source: '',
    text: '',
  };
}

const until = (isSo: () => boolean): Promise<true> => eventually(String(isSo), () => isSo() || undefined);

describe('the STATUS prober', () => {
  let prober: StatusProber | undefined;
  afterEach(() => prober?.stop());

  it('finds a network good until a plugin says no, and good again after', async () => {
    let problem: Error | undefined;
    const seen: StatusVerdict[] = [];
    prober = new StatusProber({
      probe: async () => {
        if (problem !== undefined) throw problem;
      },
      networks: () => [network('net')],
      onChange: (verdict) => seen.push(verdict),
      intervalMs: 5,
    });
    assert.equal(prober.verdict.ok, true);
    prober.start();
    await until(() => prober?.verdict.at !== '');
    problem = new CniError(50, 'subnet.env is missing');
    await until(() => prober?.verdict.ok === false);
    assert.deepEqual(
      { ...prober.verdict, at: '' },
      {
        ok: false,
        network: 'net',
        error: 'subnet.env is missing',
        code: 50,
        isTimeout: false,
        isExhausted: false,
        at: '',
      },
    );
    problem = undefined;
    await until(() => prober?.verdict.ok === true);
    assert.deepEqual(
      seen.map(({ ok, code }) => [ok, code]),
      [
        [true, 0],
        [false, 50],
        [true, 0],
      ],
    );
  });

  it('tells nobody of a plugin that says the same again, after another time', async () => {
    let asked = 0;
    let told = 0;
    prober = new StatusProber({
      probe: async () => {
        asked += 1;
        throw new CniError(50, `no address left (after ${asked}.5 ms, built-in)`);
      },
      networks: () => [network('net')],
      onChange: () => void (told += 1),
      intervalMs: 1,
    });
    prober.start();
    await until(() => asked > 3);
    assert.equal(told, 1);
  });

  it('ends a probe that hangs and says so', async () => {
    let ended = 0;
    prober = new StatusProber({
      probe: (_network, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            ended += 1;
            reject(signal.reason as Error);
          });
        }),
      networks: () => [network('net')],
      timeoutMs: 20,
      intervalMs: 1,
    });
    prober.start();
    await until(() => prober?.verdict.isTimeout === true);
    assert.match(prober.verdict.error, /STATUS took longer than 20 ms/);
    await until(() => ended >= 2);
  });

  it('asks networks of every version, the next one after a good one', async () => {
    const asked: string[] = [];
    prober = new StatusProber({
      probe: async ({ name }) => {
        asked.push(name);
      },
      networks: () => [network('old', '1.0.0'), network('a'), network('b')],
    });
    prober.start();
    await until(() => prober?.verdict.at !== '');
    assert.deepEqual(asked, ['old', 'a', 'b']);
  });

  it('tells that addresses are exhausted only where nothing else is wrong', async () => {
    const problems = new Map<string, Error>([
      ['a', new CniError(50, 'no IP addresses available in range set 0: 10.0.0.1-10.0.0.2')],
      ['b', new CniError(50, 'subnet.env is missing')],
    ]);
    prober = new StatusProber({
      probe: async ({ name }) => {
        const problem = problems.get(name);
        if (problem !== undefined) throw problem;
      },
      networks: () => [network('a'), network('b')],
      intervalMs: 5,
    });
    prober.start();
    await until(() => prober?.verdict.ok === false);
    assert.deepEqual([prober.verdict.network, prober.verdict.isExhausted], ['b', false]);
    problems.delete('b');
    await until(() => prober?.verdict.isExhausted === true);
    assert.deepEqual([prober.verdict.network, prober.verdict.ok], ['a', false]);
  });

  it('probes at once when it is told that the networks changed, also while it probes', async () => {
    const waiting: (() => void)[] = [];
    prober = new StatusProber({
      probe: () => new Promise((resolve) => void waiting.push(resolve)),
      networks: () => [network('a')],
      intervalMs: 60_000,
    });
    prober.start();
    await until(() => waiting.length === 1);
    prober.kick();
    waiting[0]?.();
    await until(() => waiting.length === 2);
    waiting[1]?.();
    await after(10);
    assert.equal(waiting.length, 2);
  });

  it('asks nothing after it was stopped', async () => {
    let asked = 0;
    prober = new StatusProber({
      probe: async () => void (asked += 1),
      networks: () => [network('a')],
      intervalMs: 1,
    });
    prober.start();
    await until(() => asked > 1);
    prober.stop();
    const before = asked;
    await after(20);
    prober.kick();
    assert.equal(asked, before);
  });
});
