import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { logInterceptor, UNKNOWN_RPC } from '../../../src/cri/interceptors/log.ts';
import { BerthError } from '../../../src/lib/errors.ts';
import type { Fields, Logger } from '../../../src/lib/log.ts';
import { quietLogger } from '../../fakes/logger.ts';

/** The level and fields of the line that a call leaves. */
async function lineOf(
  method: string,
  request: object,
  answer: () => object,
  { aborted = false } = {},
): Promise<[level: string, fields: Fields]> {
  const lines: [string, Fields][] = [];
  const note =
    (level: string) =>
    (_: string, fields: Fields = {}): void =>
      void lines.push([level, fields]);
  const log: Logger = { ...quietLogger, debug: note('debug'), info: note('info'), warn: note('warn') };
  const signal = aborted ? AbortSignal.abort() : new AbortController().signal;
  const handler = logInterceptor(log)(async () => answer());
  await handler(request, { method, signal, remainingMs: Infinity }).catch(() => undefined);
  await sleep(20);
  const [line] = lines;
  assert.ok(line !== undefined && lines.length === 1);
  return line;
}

const fails = (error: BerthError) => (): never => {
  throw error;
};

describe('the log line of a call', () => {
  it('warns of what the engine does not implement, and not of an RPC that Berth does not have', async () => {
    const ours = new BerthError('UNIMPLEMENTED', 'X is not implemented', { meta: UNKNOWN_RPC });
    const theirs = new BerthError('UNIMPLEMENTED', 'unknown service runtime.v1.RuntimeService');
    assert.equal((await lineOf('X', {}, fails(ours)))[0], 'debug');
    assert.equal((await lineOf('PullImage', {}, fails(theirs)))[0], 'warn');
    assert.equal((await lineOf('PullImage', {}, fails(theirs), { aborted: true }))[0], 'debug');
  });

  it('tells which sandbox, container and image it was about, and nothing of more than a line', async () => {
    const of = async (method: string, request: object, answer: object = {}) => {
      const [, { ms, ...facts }] = await lineOf(method, request, () => answer);
      assert.equal(typeof ms, 'number');
      return facts;
    };
    const metadata = { name: 'web', namespace: 'shop', uid: 'u', attempt: 0 };
    assert.deepEqual(await of('RunPodSandbox', { config: { metadata } }, { podSandboxId: 'p1' }), {
      method: 'RunPodSandbox',
      pod: 'shop/web',
      sandbox: 'p1',
    });
    const config = { metadata: { name: 'main', attempt: 0 }, command: ['secret'] };
    assert.deepEqual(await of('CreateContainer', { podSandboxId: 'p1', config }, { containerId: 'c1' }), {
      method: 'CreateContainer',
      sandbox: 'p1',
      name: 'main',
      container: 'c1',
    });
    assert.deepEqual(await of('StopContainer', { containerId: 'c1', timeout: '30' }), {
      method: 'StopContainer',
      container: 'c1',
    });
    const pull = { image: { image: 'busybox:1' }, auth: { password: 'secret' } };
    assert.deepEqual(await of('PullImage', pull, { imageRef: 'sha256:1' }), {
      method: 'PullImage',
      image: 'busybox:1',
      imageRef: 'sha256:1',
    });
    assert.deepEqual(await of('ImageStatus', { image: null }, { image: { id: 'sha256:1' } }), {
      method: 'ImageStatus',
    });
    const { container } = await of('StopContainer', { containerId: 'c'.repeat(9_999) });
    assert.equal(String(container).length, 512);
  });

  it('is for debugging where kubelet asks all the time, but for the failure of what rarely fails', async () => {
    const gone = fails(new BerthError('NOT_FOUND', 'gone'));
    for (const [method, success, failure] of [
      ['StopContainer', 'info', 'warn'],
      ['ExecSync', 'debug', 'warn'],
      ['ImageStatus', 'debug', 'warn'],
      ['ContainerStats', 'debug', 'warn'],
      ['PodSandboxStats', 'debug', 'warn'],
      ['ListContainerStats', 'debug', 'debug'],
      ['PodSandboxStatus', 'debug', 'debug'],
    ] as const) {
      assert.equal((await lineOf(method, {}, () => ({})))[0], success, method);
      assert.equal((await lineOf(method, {}, gone))[0], failure, method);
    }
  });
});
