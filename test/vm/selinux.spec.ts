import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { LinuxContainerSecurityContext } from '../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import type { SELinuxOption } from '../../src/gen/runtime/v1/SELinuxOption.ts';
import { selinuxLabel } from '../../src/kernel/selinux.ts';
import { detectHostFacts } from '../../src/oci/host-facts.ts';
import { TestNetns } from '../helpers/netns.ts';
import { TestNode } from '../helpers/node.ts';
import { callWell } from '../helpers/plugin-process.ts';
import { NodeShm, SelinuxEtc, SelinuxKernel } from '../helpers/selinux.ts';
import { ContainerRig, type Pod } from '../integration/containers/rig.ts';

const FOREVER = ['sleep', '3600'];
const GENERATED = /^system_u:system_r:container_t:(s0:c\d{1,4},c\d{1,4})$/;
const NODE_FILE = 'system_u:object_r:node_t:s0';
const IMAGE = 'berth.local/test/volumes:1';

describe('SELinux', () => {
  let kernel: SelinuxKernel;

  before(() => {
    kernel = new SelinuxKernel();
  });

  after(() => {
    kernel[Symbol.dispose]();
  });

  it('labels nothing before the kernel has a policy', () => {
    assert.equal(detectHostFacts().selinux, undefined);
  });

  it('labels nothing with a policy that does not know containers', () => {
    kernel.enforce();
    assert.equal(detectHostFacts().selinux, undefined);
  });

  describe('with a policy that knows containers', () => {
    let etc: SelinuxEtc;
    let rig: ContainerRig;
    let volume: string;

    before(async () => {
      etc = new SelinuxEtc();
      rig = await ContainerRig.start();
      await rig.importImage(IMAGE, {
        config: { Volumes: { '/data': {} } },
        layers: [{ 'data/': { directory: true }, 'data/file': { content: 'of the image\n' } }],
      });
    });

    after(async () => {
      try {
        await rig[Symbol.asyncDispose]();
      } finally {
        etc[Symbol.dispose]();
      }
    });

    beforeEach(() => {
      volume = mkdtempSync(join(tmpdir(), 'berth-volume-'));
      mkdirSync(join(volume, 'sub'));
      writeFileSync(join(volume, 'sub/file'), 'secret\n');
      symlinkSync('/etc', join(volume, 'sub/link'));
      execFileSync('mkfifo', [join(volume, 'sub/fifo')]);
    });

    afterEach(async () => {
      await rig.clear();
      rmSync(volume, { recursive: true });
    });

    const pid = async (id: string): Promise<number> => {
      const { info } = await rig.statusResponse(id, true);
      return (JSON.parse(info['info'] ?? '') as { pid: number }).pid;
    };
    const processLabel = async (id: string): Promise<string> => labelOf(await pid(id));
    /** Of a file as the container sees it. */
    const fileLabel = async (id: string, path: string): Promise<string | undefined> =>
      selinuxLabel(`/proc/${await pid(id)}/root${path}`);
    const run = (pod: Pod, name: string, security: LinuxContainerSecurityContext = {}, more = {}) =>
      rig.run(pod, name, FOREVER, { ...secured(security), ...more });
    const mounted = (selinuxRelabel: boolean) => ({
      mounts: [{ containerPath: '/vol', hostPath: volume, selinuxRelabel }],
    });

    it('gives all processes of a pod one label of its own, and their files a label to match', async () => {
      const [one, other] = [await rig.runPod('one'), await rig.runPod('other')];
      const shared = { namespaceOptions: { pid: 'POD' } } as const;
      const first = await run(one, 'first');
      const second = await run(one, 'second', shared);
      const label = await processLabel(first);
      const level = GENERATED.exec(label)?.[1];
      assert.ok(level !== undefined, label);
      assert.equal(await processLabel(second), label);
      const { info } = await rig.daemon.client.podStatus(one.id, true);
      assert.equal(labelOf((JSON.parse(info['info'] ?? '') as { pid: number }).pid), label, 'pause process');
      const { stdout } = await rig.exec(first, ['cat', '/proc/self/attr/current']);
      assert.equal(stdout.replace('\0', ''), label);
      const files = `system_u:object_r:container_file_t:${level}`;
      await rig.exec(first, ['sh', '-c', 'echo > /new; echo > /dev/shm/new']);
      const paths = [
        '/',
        '/bin/busybox',
        '/new',
        '/dev',
        '/dev/shm',
        '/dev/shm/new',
        '/dev/mqueue',
        '/etc/hosts',
      ];
      for (const path of paths) assert.equal(await fileLabel(first, path), files, path);
      assert.notEqual(await processLabel(await run(other, 'first')), label);
    });

    it('keeps the labels over a restart, and gives them to what is started after it', async () => {
      const pod = await rig.runPod('kept');
      const running = await run(pod, 'running');
      const made = await rig.create(pod, 'made', FOREVER, secured({}));
      const label = await processLabel(running);
      await rig.daemon.stop();
      await rig.daemon.start();
      await rig.startContainer(made);
      assert.equal(await processLabel(made), label);
      assert.equal(await fileLabel(made, '/bin/busybox'), await fileLabel(running, '/bin/busybox'));
      assert.match((await fileLabel(made, '/bin/busybox')) ?? '', /:container_file_t:s0:c/);
      assert.equal(await processLabel(await run(pod, 'later')), label);
      const other = await run(await rig.runPod('after'), 'main');
      assert.notEqual(await processLabel(other), label);
    });

    it('gives a volume the label of the container where that is asked for, which keeps other pods away', async () => {
      const [owner, other] = [await rig.runPod('owner'), await rig.runPod('other')];
      const read = ['cat', '/vol/sub/file'];
      const main = await run(owner, 'main', {}, mounted(true));
      const label = await fileLabel(main, '/');
      for (const name of ['', 'sub', 'sub/file', 'sub/link', 'sub/fifo'])
        assert.equal(selinuxLabel(join(volume, name)), label, name);
      assert.equal((await rig.exec(main, read)).stdout, 'secret\n');
      const stranger = await run(other, 'main', {}, mounted(false));
      assert.match((await rig.exec(stranger, read)).stderr, /Permission denied/);
      const host = await run(
        other,
        'level',
        { selinuxOptions: { level: label?.split(':').slice(3).join(':') ?? '' } },
        mounted(false),
      );
      assert.equal((await rig.exec(host, read)).stdout, 'secret\n');
      assert.equal(selinuxLabel(join(volume, 'sub/file')), label);
    });

    it('labels what an image declares as a volume, and a volume that is an image', async () => {
      const pod = await rig.runPod('images');
      const more = {
        image: { image: IMAGE },
        mounts: [{ containerPath: '/image', readonly: true, image: { image: IMAGE } }],
      };
      const id = await run(pod, 'main', {}, more);
      const label = await fileLabel(id, '/');
      assert.match(label ?? '', /:container_file_t:s0:c/);
      for (const path of ['/data', '/data/file', '/image/data/file'])
        assert.equal(await fileLabel(id, path), label, path);
    });

    it('takes each part of a label from the container, from its pod, and then from the policy', async () => {
      const pod = await rig.runPod('parts', {
        linux: { securityContext: { selinuxOptions: { type: 'spc_t', level: 's0:c5.c7' } } },
      });
      const labels: [SELinuxOption | null, string, string][] = [
        [null, 'system_u:system_r:spc_t:s0:c5.c7', 'system_u:object_r:container_file_t:s0:c5.c7'],
        [{ level: 's0' }, 'system_u:system_r:spc_t:s0', 'system_u:object_r:container_file_t:s0'],
        [
          { type: 'container_t' },
          'system_u:system_r:container_t:s0:c5.c7',
          'system_u:object_r:container_file_t:s0:c5.c7',
        ],
        [
          { user: 'staff_u', role: 'staff_r' },
          'staff_u:staff_r:spc_t:s0:c5.c7',
          'staff_u:object_r:container_file_t:s0:c5.c7',
        ],
      ];
      for (const [n, [selinuxOptions, ofProcess, ofFiles]] of labels.entries()) {
        const id = await run(pod, `c${n}`, { selinuxOptions });
        assert.deepEqual([await processLabel(id), await fileLabel(id, '/bin/busybox')], [ofProcess, ofFiles]);
      }
    });

    it('does not confine a privileged container, whose files have the label of the pod', async () => {
      const pod = await rig.runPod('privileged', { linux: { securityContext: { privileged: true } } });
      const own = labelOf(process.pid);
      const plain = await run(pod, 'plain', {}, mounted(false));
      const label = await fileLabel(plain, '/');
      for (const [n, more] of [{}, { selinuxOptions: { type: 'spc_t' } }].entries()) {
        const id = await run(pod, `main${n}`, { privileged: true, ...more }, mounted(true));
        assert.equal(await processLabel(id), own);
        assert.equal(await fileLabel(id, '/'), label);
        assert.equal(selinuxLabel(join(volume, 'sub/file')), label);
      }
      const shared = { namespaceOptions: { pid: 'POD' } } as const;
      await run(pod, 'shared', { privileged: true, ...shared });
      const { info } = await rig.daemon.client.podStatus(pod.id, true);
      assert.equal(labelOf((JSON.parse(info['info'] ?? '') as { pid: number }).pid), own, 'pause process');
    });

    it("confines a pod in the node's namespaces, too, and leaves the node's /dev/shm as it is", async () => {
      const node = { network: 'NODE', pid: 'NODE', ipc: 'NODE' } as const;
      const pod = await rig.runPod('node', { linux: { securityContext: { namespaceOptions: node } } });
      using shm = new NodeShm();
      const before = selinuxLabel(shm.path);
      const id = await run(pod, 'main', { namespaceOptions: node });
      assert.match(await processLabel(id), GENERATED);
      assert.deepEqual([selinuxLabel(shm.path), await fileLabel(id, shm.path)], [before, before]);
      await rig.stop(id);
      await rig.remove(id);
    });

    it('makes a tap device as a process with the label that its network is configured with', async () => {
      const label = 'system_u:system_r:container_kvm_t:s0:c1,c2';
      await using node = await TestNode.create();
      using pod = new TestNetns();
      const bin = mkdtempSync(join(tmpdir(), 'berth-bin-'));
      const { PATH = '' } = process.env;
      try {
        const seen = join(bin, 'seen');
        const ip = `#!/bin/sh\ncat /proc/self/attr/current > ${seen}\nPATH=${PATH} exec ip "$@"\n`;
        writeFileSync(join(bin, 'ip'), ip, { mode: 0o755 });
        process.env['PATH'] = `${bin}:${PATH}`;
        const config = { cniVersion: '1.0.0', name: 'net', type: 'tap', owner: 107, multiQueue: true };
        const call = { verb: 'ADD', type: 'tap', netns: pod.path } as const;
        await callWell(node, 'in-process', { ...call, config: { ...config, selinuxContext: label } });
        assert.equal(readFileSync(seen, 'utf8').replace('\0', ''), label);
        const { linkinfo } = pod.link('eth0') ?? {};
        const { info_kind: kind, info_data: data } = linkinfo as { info_kind: string; info_data: object };
        assert.deepEqual([kind, data], ['tun', { ...data, type: 'tap', multi_queue: true, user: 107 }]);
        // What is started afterwards is as this process is.
        assert.equal(
          execFileSync('cat', ['/proc/self/attr/current'], { encoding: 'utf8' }).replace('\0', ''),
          labelOf(process.pid),
        );
      } finally {
        process.env['PATH'] = PATH;
        rmSync(bin, { recursive: true });
      }
    });

    it('refuses a label that the policy does not know, and to label what is the node itself', async () => {
      const field = 'config.linux.security_context.selinux_options';
      const refused = { code: status.INVALID_ARGUMENT };
      const of = (selinuxOptions: SELinuxOption) => ({ linux: { securityContext: { selinuxOptions } } });
      const pod = await rig.runPod('refused');
      for (const [options, what] of [
        [{ type: 'nobody_t' }, `${field}: "system_u:system_r:nobody_t:s0:.*" is no label`],
        [{ user: 'nobody_u' }, `${field}: "nobody_u:system_r:container_t:s0:.*" is no label`],
        [{ level: 's1:c2' }, `${field}: "system_u:system_r:container_t:s1:c2" is no label`],
        [{ level: 'c2' }, `${field}.level: the format`],
        [{ role: 'a b' }, `${field}.role: `],
      ] as const) {
        const details = new RegExp(what);
        await assert.rejects(rig.runPod('bad', of(options)), { ...refused, details });
        await assert.rejects(rig.create(pod, 'bad', FOREVER, of(options)), { ...refused, details });
      }
      symlinkSync('/usr', join(volume, 'link'));
      for (const hostPath of ['/', '/etc/', join(volume, 'link')]) {
        const mounts = [{ containerPath: '/vol', hostPath, selinuxRelabel: true }];
        await assert.rejects(rig.create(pod, 'bad', FOREVER, { mounts }), {
          ...refused,
          details: /config\.mounts\[0\]\.selinux_relabel: .* must keep its label/,
        });
      }
      for (const path of ['/', '/etc', '/usr'])
        assert.ok([NODE_FILE, undefined].includes(selinuxLabel(path)), path);
    });
  });
});

function labelOf(pid: number): string {
  return readFileSync(`/proc/${pid}/attr/current`, 'utf8').replace('\0', '').trim();
}

/** With a pid namespace of its own it needs no pause process. */
function secured(security: LinuxContainerSecurityContext) {
  return { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' }, ...security } } } as const;
}
