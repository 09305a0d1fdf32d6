import assert from 'node:assert/strict';
import type { ContainerConfig__Output } from '../../../../src/gen/runtime/v1/ContainerConfig.ts';
import { planContainer } from '../../../../src/pod/container/plan.ts';
import type { Sandbox } from '../../../../src/pod/sandbox/sandbox.ts';

const metadata = { name: 'web', namespace: 'default', uid: 'u-1', attempt: 0 };
const sandbox = { record: { config: { metadata, logDirectory: '/var/log/pods/web' } } } as unknown as Sandbox;

function plan(change: Record<string, unknown>): ReturnType<typeof planContainer> {
  const config = {
    metadata: { name: 'main', attempt: 0 },
    image: { image: 'tiny' },
    mounts: [],
    stopSignal: 'RUNTIME_DEFAULT',
    labels: {},
    annotations: {},
    logPath: '',
    ...change,
  };
  return planContainer(config as unknown as ContainerConfig__Output, sandbox);
}

const refuses = (change: Record<string, unknown>, field: string): void => {
  assert.throws(() => plan(change), { code: 'INVALID_ARGUMENT', meta: { field } });
};

describe('the plan of a container', () => {
  it('has its log below the directory of the pod', () => {
    assert.equal(plan({ logPath: 'main/0.log' }).logPath, '/var/log/pods/web/main/0.log');
    assert.equal(plan({ logPath: '' }).logPath, '');
  });

  it('refuses a log whose file could not be made', () => {
    for (const logPath of ['/main.log', '../main.log', 'a\0b', 'é'.repeat(128), 'a/'.repeat(2_100)])
      refuses({ logPath }, 'config.log_path');
  });

  it('refuses an image without a name, and one whose name is endless', () => {
    refuses({ image: null }, 'config.image.image');
    refuses({ image: { image: 'x'.repeat(5_000) } }, 'config.image.image');
    const mount = { image: { image: 'x'.repeat(5_000) }, imageSubPath: '', hostPath: '', readonly: true };
    refuses({ mounts: [mount] }, 'config.mounts[0].image.image');
  });
});
