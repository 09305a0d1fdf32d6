import assert from 'node:assert/strict';
import { KubeletRig } from './rig.ts';
import { containerOf, criId, IDLE, isReady, shell } from './pods.ts';

describe('pods of a real kubelet', function () {
  this.timeout(120_000);
  let rig: KubeletRig;

  before(async () => {
    rig = await KubeletRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  it('runs an init container and then two containers, which share a network and a volume', async () => {
    const mount = { volumeMounts: [{ name: 'www', mountPath: '/www' }] };
    await rig.apply({
      name: 'web',
      spec: {
        volumes: [{ name: 'www', emptyDir: {} }],
        initContainers: [shell('prepare', 'echo from init > /www/index.html', mount)],
        containers: [
          shell('server', 'trap "exit 0" TERM; httpd -f -p 8080 -h /www & wait', mount),
          shell('client', `until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; ${IDLE}`),
        ],
      },
    });
    const pod = await rig.until('the pod is ready', 'web', isReady);
    const init = containerOf(pod, 'prepare')?.state.terminated;
    assert.equal(init?.reason, 'Completed');
    assert.equal(init.exitCode, 0);
    assert.equal(await rig.logged(pod, 'client', /from init/), 'from init\n');
    const server = criId(containerOf(pod, 'server'));
    assert.match(server, /^[0-9a-f]{64}$/);
  });
});
