import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { eventually } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import { TestRegistry } from '../containerd/registry.ts';
import { tinyImage } from '../containerd/tiny-image.ts';
import { ContainerRig } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

describe('sandboxes of a handler with sandbox = "pause"', () => {
  let rig: ContainerRig;

  before(async () => {
    const paused = { type: 'io.containerd.runc.v2', sandbox: 'pause' };
    const gone = { type: 'io.containerd.runc.v2', sandbox: 'pause', binary: '/bin/false' };
    const runc = { type: 'io.containerd.runc.v2' };
    rig = await ContainerRig.start({ config: { containerd: { runtimes: { runc, paused, gone } } } });
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  afterEach(async () => {
    await rig.clear();
  });

  it('have their pause process from the beginning, in the namespaces of the pod', async () => {
    const pod = await rig.runPod('paused', {}, 'paused');
    const { pid, runtimeSpec } = await info(pod.id);
    await eventually('runc has become catatonit', () =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('catatonit') ? true : undefined,
    );
    assert.equal(readlinkSync(`/proc/${pid}/ns/net`), await inode(runtimeSpec, 'network'));
    const spec = JSON.parse(await rig.ctr('containers', 'info', pod.id)) as {
      Spec: { annotations: Record<string, string> };
    };
    assert.equal(spec.Spec.annotations['io.kubernetes.cri.container-type'], 'sandbox');
    assert.equal(spec.Spec.annotations['io.kubernetes.cri.sandbox-name'], 'paused');
    const id = await rig.run(pod, 'main', FOREVER, own);
    const shared = await rig.run(pod, 'shared', FOREVER);
    assert.match((await rig.exec(shared, ['cat', '/proc/1/cmdline'])).stdout, /catatonit/);
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
    assert.equal(rig.shims().length, 1);
    await rig.remove(id);
    await rig.remove(shared);
    assert.equal((await info(pod.id)).pid, pid);
    await rig.daemon.client.stop(pod.id);
    assert.equal((await info(pod.id)).pid, 0);
  });

  it('have ended with it: no IP, nothing that runs', async () => {
    const pod = await rig.runPod('dies', {}, 'paused');
    const id = await rig.run(pod, 'main', FOREVER, own);
    process.kill((await info(pod.id)).pid, 'SIGKILL');
    await eventually('the sandbox is not ready', async () => {
      const { status } = await rig.daemon.client.podStatus(pod.id);
      return status?.state === 'SANDBOX_NOTREADY' ? true : undefined;
    });
    await rig.ended(id);
    await eventually('it is stopped', async () =>
      (await info(pod.id)).phase === 'stopped' ? true : undefined,
    );
    const { status } = await rig.daemon.client.podStatus(pod.id);
    assert.equal(status?.network?.ip, '');
    assert.match((await info(pod.id)).reason, /pause process ended/);
  });

  it('that cannot start it are undone as a whole, with the words of the runtime', async () => {
    const leases = (): string[] =>
      readdirSync(join(rig.directory, 'ipam', 'berth-test')).filter((name) => /^\d/.test(name));
    await assert.rejects(rig.runPod('none', {}, 'gone'), { details: /failed to start the pause process/ });
    assert.deepEqual(await rig.daemon.client.list(), []);
    assert.deepEqual(leases(), []);
    await rig.untraced();
  });

  it('live on when Berth is killed', async () => {
    const pod = await rig.runPod('stays', {}, 'paused');
    const { pid } = await info(pod.id);
    await rig.daemon.kill();
    await rig.daemon.start();
    const { status } = await rig.daemon.client.podStatus(pod.id);
    assert.equal(status?.state, 'SANDBOX_READY');
    assert.equal((await info(pod.id)).pid, pid);
    await eventually('a container runs', () => rig.run(pod, 'later', FOREVER).catch(() => undefined));
  });

  it('that have lost a namespace while Berth was away are ended as a whole by their Stop', async () => {
    const pod = await rig.runPod('bare', {}, 'paused');
    const id = await rig.run(pod, 'main', FOREVER, own);
    const path = await netns(pod.id);
    await rig.daemon.kill();
    await execa('umount', [path]);
    await rig.daemon.start();
    assert.match((await info(pod.id)).reason, /its namespaces are gone/);
    await rig.daemon.client.stop(pod.id);
    assert.equal(await rig.ctr('tasks', 'ls', '--quiet'), '');
    assert.equal(await rig.ctr('containers', 'ls', '--quiet'), id);
    assert.equal((await info(pod.id)).pid, 0);
  });

  it('leave nothing of it in containerd after a reboot', async () => {
    const pod = await rig.runPod('before', {}, 'paused');
    const { pid } = await info(pod.id);
    await rig.daemon.kill();
    const path = join(rig.directory, 'root', 'sandboxes', `${pod.id}.jsonl`);
    const record = readFileSync(path, 'utf8');
    writeFileSync(
      path,
      record.replace(/"bootId":"[^"]+"/, '"bootId":"00000000-0000-0000-0000-000000000000"'),
    );
    process.kill(pid, 'SIGKILL');
    await rig.daemon.start();
    assert.equal((await info(pod.id)).pid, 0);
    await eventually('its container is gone', async () =>
      (await rig.ctr('containers', 'ls', '--quiet')) === '' ? true : undefined,
    );
    await rig.daemon.client.stop(pod.id);
  });

  interface Info {
    pid: number;
    phase: string;
    reason: string;
    runtimeSpec: { linux: { namespaces: { type: string; path: string }[] } };
  }

  async function info(id: string): Promise<Info> {
    return JSON.parse((await rig.daemon.client.podStatus(id, true)).info['info'] ?? '') as Info;
  }

  async function netns(id: string): Promise<string> {
    return pathOf((await info(id)).runtimeSpec, 'network');
  }

  function pathOf({ linux }: Info['runtimeSpec'], type: string): string {
    return linux.namespaces.find((namespace) => namespace.type === type)?.path ?? '';
  }

  async function inode(spec: Info['runtimeSpec'], type: string): Promise<string> {
    const path = pathOf(spec, type);
    return rig.base.node.run('nsenter', `--net=${path}`, 'readlink', '/proc/self/ns/net');
  }
});

describe('containers of a pod whose pause process has ended before they are started', () => {
  let rig: ContainerRig;

  before(async () => {
    rig = await ContainerRig.start();
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
  });

  it('fail, whether the pod has another or none', async () => {
    const pod = await rig.runPod('bereft');
    const pausePid = async (): Promise<number> => {
      const { info } = await rig.daemon.client.podStatus(pod.id, true);
      return (JSON.parse(info['info'] ?? '') as { pid: number }).pid;
    };
    const [early, earlier] = [
      await rig.create(pod, 'early', FOREVER),
      await rig.create(pod, 'earlier', FOREVER),
    ];
    process.kill(await pausePid(), 'SIGKILL');
    const refused = { code: status.FAILED_PRECONDITION, details: /the pause process .*has ended/ };
    await assert.rejects(rig.startContainer(early), refused);
    await eventually('it is forgotten', async () => ((await pausePid()) === 0 ? true : undefined));
    const later = await rig.run(pod, 'later', FOREVER);
    await assert.rejects(rig.startContainer(earlier), refused);
    assert.equal((await rig.status(earlier)).reason, 'StartError');
    assert.equal((await rig.status(later)).state, 'CONTAINER_RUNNING');
  });
});

describe('the image of a pause process', () => {
  it('is pulled for the first pod that needs it; without it the pod fails with what the registry answered', async () => {
    const served = tinyImage('berth.local/test/pause:1', {
      config: { Entrypoint: ['/bin/sleep'], Cmd: ['3600'] },
    });
    await using registry = await TestRegistry.start(served.served);
    const image = `${registry.host}/test/pause:1`;
    const paused = { type: 'io.containerd.runc.v2', sandbox: 'pause' };
    const runc = { type: 'io.containerd.runc.v2' };
    await using rig = await ContainerRig.start({
      node: TestNode.own(),
      config: { containerd: { runtimes: { runc, paused } }, sandbox: { image } },
    });
    registry.locked = true;
    await assert.rejects(rig.runPod('refused', {}, 'paused'), {
      details: /failed to start the pause process: .*test\/pause:1.*(401|authorization failed)/,
    });
    await rig.untraced();
    registry.locked = false;
    const pod = await rig.runPod('pulled', {}, 'paused');
    const { info } = await rig.daemon.client.podStatus(pod.id, true);
    const { pid } = JSON.parse(info['info'] ?? '') as { pid: number };
    await eventually("runc has become the image's program", () =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/bin/sleep') ? true : undefined,
    );
    assert.deepEqual(await rig.pinnedImages(), [served.id]);
    const asked = registry.requests.length;
    await rig.runPod('second', {}, 'paused');
    assert.equal(registry.requests.length, asked);
  });
});
