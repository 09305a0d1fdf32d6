import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rig } from '../../helpers/fixture.ts';
import { ContainerRig } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
const privileged = { securityContext: { privileged: true } };

interface Info {
  readonly Runtime: { readonly Name: string; readonly Options?: { type_url: string; value: string } };
  readonly Spec: { readonly annotations: Readonly<Record<string, string>> };
}

describe('a runtime handler', () => {
  let rig: ContainerRig;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-base-'));
    const base = join(directory, 'base.json');
    const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 111, hard: 222 }];
    const mounts = ['proc', 'sysfs'].map((type) => ({
      destination: type === 'proc' ? '/proc' : '/sys',
      type,
      source: type,
    }));
    const ours = { destination: '/ours', type: 'tmpfs', source: 'tmpfs', options: ['size=4096k'] };
    writeFileSync(
      base,
      JSON.stringify({ process: { rlimits, env: ['SITE=here'] }, mounts: [...mounts, ours] }),
    );
    const type = 'io.containerd.runc.v2';
    const based = { type, base_runtime_spec: base };
    const annotated = {
      type,
      sandbox: 'pause',
      pod_annotations: ['example.com/*', 'plain'],
      container_annotations: ['own.?'],
    };
    const modest = { type, privileged_without_host_devices: true };
    const liberal = { ...modest, privileged_without_host_devices_all_devices_allowed: true };
    const other = { type: 'io.containerd.berthtest.v1', config_path: '/etc/other.toml' };
    const shim = join(directory, 'shim');
    const wrapper = `#!/bin/sh\necho "$@" >> ${directory}/calls\nexec containerd-shim-runc-v2 "$@"\n`;
    writeFileSync(shim, wrapper, { mode: 0o755 });
    const pathed = { type, path: shim, sandbox: 'pause' };
    const runtimes = { runc: { type }, based, annotated, modest, liberal, other, pathed };
    const runtime = {
      device_ownership_from_security_context: true,
      unset_seccomp_profile: 'runtime/default',
    };
    rig = await ContainerRig.start({
      config: { containerd: { runtimes }, runtime },
    });
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  afterEach(async () => {
    await rig.clear();
  });

  async function told(id: string): Promise<Info> {
    return JSON.parse(await rig.ctr('containers', 'info', id)) as Info;
  }

  async function output(id: string, script: string): Promise<string> {
    return (await rig.exec(id, ['sh', '-c', script])).stdout;
  }

  it('with a spec of its own begins its containers with that', async () => {
    const pod = await rig.runPod('based', {}, 'based');
    const id = await rig.run(pod, 'main', FOREVER, own);
    const script = 'grep "open files" /proc/1/limits; echo $SITE; grep -c " /ours tmpfs " /proc/mounts';
    assert.match(await output(id, script), /^Max open files +111 +222 +files *\nhere\n1\n$/);
    const plain = await rig.run(await rig.runPod('plain'), 'main', FOREVER, own);
    assert.equal(await output(plain, 'echo "<$SITE>"; grep -c " /ours tmpfs " /proc/mounts'), '<>\n0\n');
  });

  it('is told the annotations that it asks for, of the pod and of the container', async () => {
    const annotations = { 'example.com/one': '1', 'example.com/a/b': '2', plain: '3', 'own.x': '4' };
    const pod = await rig.runPod('annotated', { annotations }, 'annotated');
    const own = { annotations: { 'own.x': '5', 'own.xx': '6', 'example.com/one': '7' } };
    const id = await rig.create(pod, 'main', FOREVER, own);
    const passed = async (one: string): Promise<Record<string, string>> => {
      const { annotations: all } = (await told(one)).Spec;
      return Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith('io.')));
    };
    assert.deepEqual(await passed(pod.id), { 'example.com/one': '1', plain: '3' });
    assert.deepEqual(await passed(id), { 'example.com/one': '1', plain: '3', 'own.x': '5' });
  });

  it('may keep the devices of the node from privileged containers', async () => {
    const config = { linux: privileged };
    const device = { hostPath: '/dev/null', containerPath: '/dev/given', permissions: 'rw' };
    // Of the node, and of no container by itself.
    const { rdev } = statSync('/dev/kmsg');
    const number = `${rdev >> 8} ${rdev & 255}`;
    const make = `ls /dev/kmsg /dev/given; mknod /kmsg c ${number}; head -c 0 /kmsg && echo opened`;
    const found = async (handler: string): Promise<string> => {
      const pod = await rig.runPod(handler || 'default', config, handler);
      const id = await rig.run(pod, 'main', FOREVER, { ...config, devices: [device] });
      return output(id, make);
    };
    assert.equal(await found(''), '/dev/given\n/dev/kmsg\nopened\n');
    assert.equal(await found('modest'), '/dev/given\n');
    assert.equal(await found('liberal'), '/dev/given\nopened\n');
  });

  it('of another shim gets its configuration file', async () => {
    const pod = await rig.runPod('other', {}, 'other');
    const id = await rig.create(pod, 'main', FOREVER, own);
    const { Runtime } = await told(id);
    assert.deepEqual(
      [Runtime.Name, Runtime.Options?.type_url],
      ['io.containerd.berthtest.v1', 'runtimeoptions.v1.Options'],
    );
    const value = Buffer.from(Runtime.Options?.value ?? '', 'base64').toString('latin1');
    assert.equal(value, '\n\u0022io.containerd.berthtest.v1.options\u0012\u000f/etc/other.toml');
  });

  it('may name the executable of its shim', async () => {
    const pod = await rig.runPod('pathed', {}, 'pathed');
    const id = await rig.run(pod, 'main', FOREVER, own);
    assert.equal(await output(id, 'echo runs'), 'runs\n');
    const starts = readFileSync(join(directory, 'calls'), 'utf8').match(/-id \w+ .*start$/gm) ?? [];
    assert.deepEqual(
      starts.map((line) => line.split(' ')[1]),
      [pod.id, id],
    );
  });

  it('or any other gives devices to whom the container runs as, when the node says so', async () => {
    const pod = await rig.runPod('owner');
    const device = { hostPath: '/dev/null', containerPath: '/dev/given', permissions: 'rw' };
    const securityContext = { runAsUser: { value: 1234 }, runAsGroup: { value: 567 } };
    const id = await rig.run(pod, 'main', FOREVER, { devices: [device], linux: { securityContext } });
    assert.match(await output(id, 'ls -ln /dev/given'), / 1234 +567 /);
  });

  it('or any other has the seccomp profile of the node for containers that ask for none', async () => {
    const pod = await rig.runPod('seccomp');
    const unconfined = { securityContext: { seccomp: { profileType: 'Unconfined' } } } as const;
    const modes = await Promise.all(
      [{}, { linux: unconfined }].map(async (options, i) => {
        const id = await rig.run(pod, `c${i}`, FOREVER, options);
        return output(id, 'grep Seccomp: /proc/self/status');
      }),
    );
    assert.deepEqual(modes, ['Seccomp:\t2\n', 'Seccomp:\t0\n']);
  });
});

describe('a runtime handler with a spec that cannot be used', () => {
  it('ends the daemon with the key and the file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'berth-base-'));
    try {
      const path = join(directory, 'base.json');
      writeFileSync(path, '{"process": []}');
      const runtimes = { runc: { type: 'io.containerd.runc.v2', base_runtime_spec: path } };
      await assert.rejects(
        Rig.start({ config: { containerd: { runtimes } } }),
        /invalid containerd\.runtimes\.runc\.base_runtime_spec: cannot use the runtime spec ".*base\.json": process is not an object/,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
