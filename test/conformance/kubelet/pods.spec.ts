import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { cgroupOf, limitsOf } from '../../helpers/cgroups.ts';
import { NODE_IP } from './machine.ts';
import { containerOf, criId, IDLE, isReady, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';

const MIB = 1024 * 1024;

describe('pods of a kubelet', function () {
  this.timeout(SPEC_MS);
  let rig: KubeletRig;

  before(async () => {
    rig = await KubeletRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  it('an init container runs, then two containers, which share a network and a volume', async () => {
    const www = { volumeMounts: [{ name: 'www', mountPath: '/www' }] };
    const pod = await rig.run({
      name: 'web',
      spec: {
        volumes: [{ name: 'www', emptyDir: {} }],
        initContainers: [shell('prepare', 'echo from init > /www/index.html', www)],
        containers: [
          shell('server', 'trap "exit 0" TERM; httpd -f -p 8080 -h /www & wait', www),
          shell('client', `until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; ${IDLE}`),
        ],
      },
    });
    const init = containerOf(pod, 'prepare')?.state.terminated;
    assert.equal(init?.reason, 'Completed');
    assert.equal(init.exitCode, 0);
    assert.equal(await rig.logged(pod, 'client', /from init/), 'from init\n');
    assert.equal(await rig.fetch(`http://${String(pod.status.podIP)}:8080/`), 'from init\n');
    const sandbox = await rig.sandbox(pod);
    const { status } = await rig.daemon.client.podStatus(sandbox);
    assert.equal(pod.status.podIP, status?.network?.ip);
    for (const name of ['server', 'client']) {
      const container = containerOf(pod, name);
      assert.equal(container?.restartCount, 0);
      const { status: seen } = await rig.daemon.client.containerStatus(criId(container));
      assert.equal(seen?.state, 'CONTAINER_RUNNING');
    }
  });

  it('a sidecar starts before the containers and ends after them', async () => {
    const directory = await rig.hostDirectory('sidecar');
    const shared = { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
    const script = (name: string): string =>
      `trap "echo ${name} down >> /shared/order; exit 0" TERM; echo ${name} up >> /shared/order; sleep 3600 & wait`;
    const pod = await rig.run({
      name: 'sidecar',
      spec: {
        volumes: [{ name: 'shared', hostPath: { path: directory } }],
        initContainers: [
          shell('sidecar', script('sidecar'), {
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['test', '-f', '/shared/order'] }, periodSeconds: 1 },
            ...shared,
          }),
        ],
        containers: [shell('main', script('main'), shared)],
      },
    });
    assert.ok(containerOf(pod, 'sidecar')?.state.running, 'the sidecar goes on');
    await rig.remove('sidecar');
    await rig.ended('sidecar');
    const order = await readFile(join(directory, 'order'), 'utf8');
    assert.deepEqual(order.trimEnd().split('\n'), ['sidecar up', 'main up', 'main down', 'sidecar down']);
  });

  it('containers of a pod with a shared process namespace see one another, below a pause process', async () => {
    const pod = await rig.run({
      name: 'processes',
      spec: {
        shareProcessNamespace: true,
        containers: [
          shell('one', `exec sleep 4242`),
          shell(
            'two',
            `until ps -o args | grep -q "^sleep 424[2]"; do sleep 0.1; done; ps -o pid,args; ${IDLE}`,
          ),
        ],
      },
    });
    const processes = await rig.logged(pod, 'two', /sleep 4242/);
    assert.match(processes, /^ *1 \/catatonit/m);
    const apart = await rig.run({
      name: 'apart',
      spec: { containers: [shell('one', `ps -o pid,args; ${IDLE}`)] },
    });
    assert.match(await rig.logged(apart, 'one', /ps -o/), /^ *1 sh /m);
  });

  it('volumes: an emptyDir on disk and in memory, a host path, a sub path, the downward API', async () => {
    const directory = await rig.hostDirectory('volumes');
    await mkdir(join(directory, 'sub'));
    await writeFile(join(directory, 'file'), 'of the host\n');
    await writeFile(join(directory, 'sub/file'), 'of its sub path\n');
    const env = (name: string, fieldPath: string): object => ({
      name,
      valueFrom: { fieldRef: { fieldPath } },
    });
    const pod = await rig.run({
      name: 'volumes',
      labels: { app: 'volumes' },
      spec: {
        volumes: [
          { name: 'disk', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
          { name: 'host', hostPath: { path: directory, type: 'Directory' } },
          {
            name: 'downward',
            downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
          },
        ],
        containers: [
          shell(
            'one',
            [
              'echo written > /disk/file; cat /disk/file',
              'grep " /memory " /proc/mounts',
              'cat /host/file /sub/file /downward/labels; echo',
              'touch /host/new 2> /dev/null || echo cannot write',
              'env | grep ^MY_ | sort',
              IDLE,
            ].join('; '),
            {
              env: [
                env('MY_IP', 'status.podIP'),
                env('MY_NODE_IP', 'status.hostIP'),
                env('MY_NAME', 'metadata.name'),
                { name: 'MY_MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory' } } },
              ],
              resources: { limits: { memory: '32Mi' }, requests: { memory: '16Mi' } },
              volumeMounts: [
                { name: 'disk', mountPath: '/disk' },
                { name: 'memory', mountPath: '/memory' },
                { name: 'host', mountPath: '/host', readOnly: true },
                { name: 'host', mountPath: '/sub', subPath: 'sub' },
                { name: 'downward', mountPath: '/downward' },
              ],
            },
          ),
        ],
      },
    });
    const lines = (await rig.logged(pod, 'one', /MY_NODE_IP/)).trimEnd().split('\n');
    assert.match(lines[1] ?? '', /^tmpfs \/memory tmpfs .*size=8192k/);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('tmpfs')),
      [
        'written',
        'of the host',
        'of its sub path',
        'app="volumes"',
        'cannot write',
        `MY_IP=${String(pod.status.podIP)}`,
        `MY_MEMORY=${32 * MIB}`,
        'MY_NAME=volumes-berth-node',
        `MY_NODE_IP=${NODE_IP}`,
      ],
    );
  });

  it("limits are those of the container's cgroup, which is where kubelet wants it", async () => {
    const resources = { requests: { cpu: '100m', memory: '32Mi' }, limits: { cpu: '500m', memory: '64Mi' } };
    const pod = await rig.run({ name: 'limited', spec: { containers: [shell('one', IDLE, { resources })] } });
    const id = criId(containerOf(pod, 'one'));
    const path = `/${rig.cgroup}/kubepods/burstable/pod${pod.metadata.uid}/${id}`;
    const pid = await rig.pid(id);
    for (const controller of ['memory', 'cpu', 'cpuset', 'pids'])
      assert.equal(cgroupOf(pid, controller), path);
    const limits = { memory: `${64 * MIB}`, quota: '50000', period: '100000' };
    assert.deepEqual(limitsOf(path), limits);
    assert.deepEqual(limitsOf(dirname(path)), limits);
  });

  it('a guaranteed pod runs, also where root may not give it the oom_score_adj that kubelet asks for', async () => {
    const resources = { limits: { cpu: '100m', memory: '32Mi' } };
    const pod = await rig.run({
      name: 'guaranteed',
      spec: { containers: [shell('one', IDLE, { resources })] },
    });
    const id = criId(containerOf(pod, 'one'));
    assert.equal(
      cgroupOf(await rig.pid(id), 'memory'),
      `/${rig.cgroup}/kubepods/pod${pod.metadata.uid}/${id}`,
    );
  });

  it('a host port leads to the pod, on the address of the node', async () => {
    await rig.run({
      name: 'published',
      spec: {
        containers: [
          shell('one', 'mkdir /www; echo published > /www/index.html; exec httpd -f -p 80 -h /www', {
            ports: [{ containerPort: 80, hostPort: 18080 }],
            readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 },
          }),
        ],
      },
    });
    assert.equal(await rig.fetch(`http://${NODE_IP}:18080/`), 'published\n');
    await rig.remove('published');
    await rig.ended('published');
    await assert.rejects(rig.fetch(`http://${NODE_IP}:18080/`), /fetch failed/);
  });

  it("a pod on the host's network has the node's address, name and links", async () => {
    const pod = await rig.run({
      name: 'host-network',
      spec: { hostNetwork: true, containers: [shell('one', `hostname; ip -o -4 addr show lo; ${IDLE}`)] },
    });
    const text = await rig.logged(pod, 'one', /10\.98/);
    assert.equal(text.split('\n')[0], hostname());
    assert.match(text, new RegExp(`inet ${NODE_IP}/32`));
    const { status } = await rig.daemon.client.podStatus(await rig.sandbox(pod));
    assert.equal(status?.network?.ip, '');
  });

  it('a pod that ends for good is Succeeded or Failed, with code and message', async () => {
    const spec = (script: string): object => ({ restartPolicy: 'Never', containers: [shell('one', script)] });
    await rig.apply({ name: 'well', spec: { containers: [], ...spec('exit 0') } });
    await rig.apply({
      name: 'badly',
      spec: { containers: [], ...spec('echo because > /dev/termination-log; exit 3') },
    });
    await rig.until('it succeeded', 'well', ({ status }) => status.phase === 'Succeeded');
    const badly = await rig.until('it failed', 'badly', ({ status }) => status.phase === 'Failed');
    const ended = containerOf(badly, 'one')?.state.terminated;
    assert.equal(ended?.exitCode, 3);
    assert.equal(ended.message, 'because\n');
    assert.equal(isReady(badly), false);
  });

  it('nothing that kubelet called an error was of our making', () => {
    assert.deepEqual(rig.errors(), []);
  });
});
