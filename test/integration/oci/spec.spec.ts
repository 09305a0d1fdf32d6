import assert from 'node:assert/strict';
import {
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
  existsSync,
  rmSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { ContainerConfig__Output } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { readAccounts } from '../../../src/oci/accounts.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { detectHostFacts } from '../../../src/oci/host-facts.ts';
import type { SpecInput } from '../../../src/oci/input.ts';
import { readInRoot } from '../../../src/oci/rootfs-file.ts';
import { eventually } from '../../helpers/fixture.ts';
import {
  containerConfig,
  mount,
  namespaceOptions,
  resources,
  secured,
  securedSandbox,
} from '../../unit/oci/spec-input.ts';
import { Runc } from './runc.ts';

type Security = Partial<LinuxContainerSecurityContext__Output>;

describe('a container that runc makes of our spec', function () {
  this.timeout(120_000);
  let runc: Runc;
  before(() => {
    runc = new Runc();
  });
  after(() => runc[Symbol.asyncDispose]());

  const sh = (
    script: string,
    part: { security?: Security; config?: Partial<ContainerConfig__Output>; input?: Partial<SpecInput> } = {},
  ): Promise<string> => {
    const options = namespaceOptions({ pid: 'CONTAINER' });
    const config = secured(
      { namespaceOptions: options, ...part.security },
      { command: ['sh', '-c', script], ...part.config },
    );
    return runc.run({ config, ...part.input });
  };
  const lines = async (...args: Parameters<typeof sh>): Promise<string[]> => (await sh(...args)).split('\n');
  const status = async (field: string, security: Security, input: Partial<SpecInput> = {}): Promise<string> =>
    (await sh(`grep ^${field}: /proc/self/status`, { security, input })).replace(/^\w+:\s*/, '');
  const privileged = (): Partial<SpecInput> => ({ sandbox: runc.sandbox({ privileged: true }) });

  it('runs in its directory, with its environment and groups', async () => {
    const [ids, directory, variable, name] = await lines('id; pwd; echo $A; echo $HOSTNAME', {
      security: { runAsUsername: 'ann', supplementalGroups: ['1234'] },
      config: { workingDir: '/made/for/it', envs: [{ key: 'A', value: 'b c' }] },
    });
    assert.match(ids ?? '', /uid=1000\(ann\) gid=1001\(ann\) groups=1001\(ann\),1234,50000\(ops\)/);
    assert.deepEqual([directory, variable, name], ['/made/for/it', 'b c', 'shop-host']);
  });

  it('has no group of the image under the policy Strict', async () => {
    const security: Security = {
      runAsUser: { value: '1000' },
      supplementalGroups: ['1234'],
      supplementalGroupsPolicy: 'Strict',
    };
    assert.equal(await sh('id -G', { security }), '1001 1234');
  });

  it('has the capabilities that were chosen', async () => {
    const caps = (
      addCapabilities: string[],
      dropCapabilities: string[],
      addAmbientCapabilities: string[] = [],
    ): Security => ({
      capabilities: { addCapabilities, dropCapabilities, addAmbientCapabilities },
    });
    assert.equal(await status('CapBnd', {}), '00000000a80425fb');
    assert.equal(await status('CapEff', caps(['NET_ADMIN'], ['CHOWN'])), '00000000a80435fa');
    assert.equal(await status('CapEff', caps([], ['ALL'])), '0000000000000000');
    const own = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    assert.equal(await status('CapEff', caps(['ALL'], [])), own);
    assert.equal(await status('CapEff', { privileged: true }, privileged()), own);
  });

  it('keeps ambient capabilities without being root', async () => {
    const security: Security = {
      runAsUser: { value: '1000' },
      capabilities: {
        addCapabilities: [],
        dropCapabilities: ['ALL'],
        addAmbientCapabilities: ['NET_BIND_SERVICE'],
      },
    };
    assert.equal(await status('CapEff', security), '0000000000000400');
    assert.equal(await status('CapAmb', security), '0000000000000400');
  });

  it('is filtered by seccomp as asked', async () => {
    const seccomp = (
      profileType: 'RuntimeDefault' | 'Unconfined' | 'Localhost',
      localhostRef = '',
    ): Security => ({
      seccomp: { profileType, localhostRef },
    });
    assert.equal(await status('Seccomp', {}), '0');
    assert.equal(await status('Seccomp', seccomp('Unconfined')), '0');
    assert.equal(await status('Seccomp', seccomp('RuntimeDefault')), '2');
    assert.equal(
      await status('Seccomp', { ...seccomp('RuntimeDefault'), privileged: true }, privileged()),
      '0',
    );
    const path = join(runc.directory, 'chmod.json');
    writeFileSync(
      path,
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat"],"action":"SCMP_ACT_ERRNO"}]}',
    );
    assert.match(
      await sh('chmod 400 /tmp 2>&1 || true', { security: seccomp('Localhost', path) }),
      /Operation not permitted/,
    );
  });

  it('cannot make namespaces under RuntimeDefault, but with CAP_SYS_ADMIN', async () => {
    const seccomp = { profileType: 'RuntimeDefault' as const, localhostRef: '' };
    const script = 'unshare -m true 2>&1 && echo made || true';
    assert.match(await sh(script, { security: { seccomp } }), /Operation not permitted/);
    const capabilities = { addCapabilities: ['SYS_ADMIN'], dropCapabilities: [], addAmbientCapabilities: [] };
    assert.equal(await sh(script, { security: { seccomp, capabilities } }), 'made');
    // Without the filter the capability alone decides: so it was the filter's rule for it that let it through.
    assert.equal(await status('Seccomp', { seccomp, capabilities }), '2');
  });

  it('can gain no privileges when asked', async () => {
    assert.equal(await status('NoNewPrivs', { noNewPrivs: true }), '1');
    assert.equal(await status('NoNewPrivs', {}), '0');
  });

  it('cannot write to a read-only root, and sees masked and read-only paths as such', async () => {
    const security: Security = {
      readonlyRootfs: true,
      maskedPaths: ['/etc/group', '/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
    };
    const [touch, group, write] = await lines(
      'touch /x 2>&1; cat /etc/group | head -c 1; echo; (echo x > /proc/sys/kernel/domainname) 2>&1; true',
      { security },
    );
    assert.match(touch ?? '', /Read-only file system/);
    assert.equal(group, '');
    assert.match(write ?? '', /Read-only file system/);
  });

  it('sees /sys and cgroups read-only, unless privileged', async () => {
    const script = 'grep -E " /sys (sysfs|tmpfs)| /sys/fs/cgroup/pids " /proc/mounts';
    for (const line of await lines(script)) assert.match(line, / ro,/);
    for (const line of await lines(script, { security: { privileged: true }, input: privileged() }))
      assert.match(line, / rw,/);
  });

  it('has the devices that it asked for, and all when privileged', async () => {
    // A device without a driver: an open that the cgroup allows fails with ENXIO, another with EPERM.
    const hostPath = join(runc.directory, 'device');
    await execa('mknod', [hostPath, 'c', '240', '99']);
    const devices = [{ hostPath, containerPath: '/dev/mine', permissions: 'r' }];
    const script = 'stat -c "%t %T" /dev/mine; (cat < /dev/mine) 2>&1; (echo x > /dev/mine) 2>&1; true';
    const [numbers, read, write] = await lines(script, { config: { devices } });
    assert.equal(numbers, 'f0 63');
    assert.match(read ?? '', /No such device or address/);
    assert.match(write ?? '', /Operation not permitted/);
    assert.equal(await sh('ls /dev/loop0 2>/dev/null || echo none'), 'none');
    assert.equal(
      await sh('ls /dev/kmsg', { security: { privileged: true }, input: privileged() }),
      '/dev/kmsg',
    );
  });

  it('has its mounts, also the recursively read-only ones', async () => {
    const outer = join(runc.directory, 'outer');
    mkdirSync(join(outer, 'inner'), { recursive: true });
    await execa('mount', ['-t', 'tmpfs', 'tmpfs', join(outer, 'inner')]);
    const on = (part: Partial<Parameters<typeof mount>[0]>): Partial<ContainerConfig__Output> => ({
      mounts: [mount({ hostPath: outer, containerPath: '/mnt', ...part })],
    });
    const script =
      'touch /mnt/a 2>/dev/null && echo rw || echo ro; touch /mnt/inner/a 2>/dev/null && echo rw || echo ro';
    assert.equal(await sh(script, { config: on({}) }), 'rw\nrw');
    assert.equal(await sh(script, { config: on({ readonly: true }) }), 'ro\nrw');
    assert.equal(await sh(script, { config: on({ readonly: true, recursiveReadOnly: true }) }), 'ro\nro');
    await execa('umount', [join(outer, 'inner')]);
  });

  it('shares mounts with the node only where the node shares them', async () => {
    const shared = join(runc.directory, 'shared');
    const plain = join(runc.directory, 'plain');
    for (const [path, kind] of [
      [shared, '--make-shared'],
      [plain, '--make-private'],
    ] as const) {
      mkdirSync(path);
      await execa('mount', ['--bind', path, path]);
      await execa('mount', [kind, path]);
    }
    const on = (
      hostPath: string,
      propagation: 'PROPAGATION_BIDIRECTIONAL' | 'PROPAGATION_HOST_TO_CONTAINER',
    ): Partial<ContainerConfig__Output> => ({
      mounts: [mount({ hostPath, containerPath: '/mnt', propagation })],
    });
    const admin: Security = {
      capabilities: { addCapabilities: ['SYS_ADMIN'], dropCapabilities: [], addAmbientCapabilities: [] },
    };
    const script = 'mkdir -p /mnt/x && mount -t tmpfs tmpfs /mnt/x && touch /mnt/x/file && ls /mnt/x';
    assert.equal(
      await sh(script, { security: admin, config: on(shared, 'PROPAGATION_BIDIRECTIONAL') }),
      'file',
    );
    assert.ok(existsSync(join(shared, 'x/file')), 'the mount came to the node');
    await execa('umount', [join(shared, 'x')]);
    assert.equal(
      await sh(script, { security: admin, config: on(shared, 'PROPAGATION_HOST_TO_CONTAINER') }),
      'file',
    );
    assert.ok(!existsSync(join(shared, 'x/file')), 'the mount stayed in the container');
    for (const propagation of ['PROPAGATION_BIDIRECTIONAL', 'PROPAGATION_HOST_TO_CONTAINER'] as const) {
      await assert.rejects(sh(script, { config: on(plain, propagation) }), {
        code: 'FAILED_PRECONDITION',
        message: /plain" is mounted on ".*plain" but it is not a shared/,
      });
    }
    for (const path of [shared, plain]) await execa('umount', [path]);
  });

  it("has its pod's files and shared memory", async () => {
    const file = (name: string): string => {
      const path = join(runc.directory, name);
      writeFileSync(path, `${name} of the pod\n`);
      return path;
    };
    const shm = join(runc.directory, 'shm');
    mkdirSync(shm);
    writeFileSync(join(shm, 'there'), '');
    const sandbox = runc.sandbox({
      shm,
      files: { hostname: file('hostname'), hosts: file('hosts'), resolvConf: file('resolv.conf') },
    });
    assert.equal(
      await sh('cat /etc/hostname /etc/hosts /etc/resolv.conf; ls /dev/shm', { input: { sandbox } }),
      'hostname of the pod\nhosts of the pod\nresolv.conf of the pod\nthere',
    );
  });

  it("joins its pod's namespaces", async () => {
    const pod = execa('unshare', [
      '--net',
      '--ipc',
      '--uts',
      '--pid',
      '--fork',
      '--kill-child',
      'sh',
      '-c',
      'hostname the-pod; echo ready; exec sleep 60',
    ]);
    const ended = pod.catch(() => undefined);
    try {
      await new Promise((resolve) => pod.stdout.once('data', resolve));
      const own = (kind: string): string => `/proc/${pod.pid}/ns/${kind}`;
      const pids = await eventually(
        'the pod has a process',
        () => readFileSync(`/proc/${pod.pid}/task/${pod.pid}/children`, 'utf8').trim() || undefined,
      );
      await eventually('it has become what it is', () =>
        readFileSync(`/proc/${pids}/comm`, 'utf8') === 'sleep\n' ? true : undefined,
      );
      const sandbox = runc.sandbox({ namespaces: { network: own('net'), ipc: own('ipc'), uts: own('uts') } });
      const script = 'hostname; readlink /proc/self/ns/net; cat /proc/1/comm';
      const [name, net, first] = await lines(script, {
        security: { namespaceOptions: namespaceOptions() },
        input: { sandbox, pidNamespace: `/proc/${pids}/ns/pid` },
      });
      const theirs = (await execa('readlink', [own('net')])).stdout;
      assert.deepEqual([name, net, first], ['the-pod', theirs, 'sleep']);
    } finally {
      pod.kill('SIGKILL');
      await ended;
    }
  });

  it("has the node's namespaces in a sandbox without any, but for pids when asked", async () => {
    assert.equal(await sh('hostname'), hostname());
    assert.equal(
      await sh('readlink /proc/self/ns/net'),
      (await execa('readlink', ['/proc/self/ns/net'])).stdout,
    );
    assert.equal(await sh('cat /proc/1/comm; true'), 'sh');
    const node = { security: { namespaceOptions: namespaceOptions({ pid: 'NODE' }) } };
    assert.equal(await sh('cat /proc/1/comm', node), readFileSync('/proc/1/comm', 'utf8').trim());
  });

  it('has its limits on disk and its score, which is never below ours', async () => {
    const isV2 = detectHostFacts().cgroups === 'v2';
    const config = containerConfig({
      command: ['sleep', '60'],
      linux: {
        securityContext: null,
        resources: resources({
          cpuShares: '512',
          cpuQuota: '20000',
          cpuPeriod: '100000',
          memoryLimitInBytes: String(64 << 20),
          oomScoreAdj: '500',
        }),
      },
    });
    const { id, process } = await runc.start({ config });
    const ended = process.catch(() => undefined);
    try {
      const cgroup = (controller: string, file: string): string =>
        join('/sys/fs/cgroup', controller, runc.cgroup, id, file);
      const read = (controller: string, file: string): Promise<string> =>
        eventually(file, () =>
          existsSync(cgroup(controller, file))
            ? readFileSync(cgroup(controller, file), 'utf8').trim()
            : undefined,
        );
      const limits = isV2
        ? [
            ['', 'cpu.max', '20000 100000'],
            ['', 'memory.max', String(64 << 20)],
            ['', 'memory.swap.max', '0'],
          ]
        : [
            ['cpu', 'cpu.shares', '512'],
            ['cpu', 'cpu.cfs_quota_us', '20000'],
            ['memory', 'memory.limit_in_bytes', String(64 << 20)],
            ['memory', 'memory.memsw.limit_in_bytes', String(64 << 20)],
          ];
      for (const [controller = '', file = '', value] of limits)
        await eventually(
          `${file} is ${value}`,
          async () => (await read(controller, file)) === value || undefined,
        );
      await eventually('its score is set', async () => {
        const controller = isV2 ? '' : 'memory';
        const [pid = ''] = (await read(controller, 'cgroup.procs')).split('\n');
        if (pid === '') return undefined;
        return readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim() === '500' || undefined;
      });
    } finally {
      await runc.kill(id);
      await ended;
    }
    const lowest = detectHostFacts().leastOomScoreAdj ?? -900;
    const low = {
      linux: { securityContext: null, resources: resources({ oomScoreAdj: '-900' }) },
      command: ['cat', '/proc/self/oom_score_adj'],
    };
    assert.equal(await runc.run({ config: containerConfig(low) }), String(Math.max(-900, lowest)));
  });

  it('has the limits of open files of what its handler begins with', async () => {
    const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 111, hard: 222 }];
    const base = { ...BASE_SPEC, process: { ...BASE_SPEC.process, rlimits } };
    assert.equal(await sh('ulimit -Sn; ulimit -Hn', { input: { base } }), '111\n222');
  });

  it('runs in a user namespace of its sandbox', async () => {
    const ids = [{ containerId: 0, hostId: 200000, length: 65536 }];
    const userns = { mode: 'POD' as const, uids: ids, gids: ids };
    const options = namespaceOptions({ pid: 'CONTAINER', usernsOptions: userns });
    const pod = execa('unshare', [
      '--user',
      '--net',
      '--ipc',
      '--uts',
      'sh',
      '-c',
      'echo ready; exec sleep 60',
    ]);
    const ended = pod.catch(() => undefined);
    try {
      await new Promise((resolve) => pod.stdout.once('data', resolve));
      for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pod.pid}/${map}`, '0 200000 65536');
      const own = (kind: string): string => `/proc/${pod.pid}/ns/${kind}`;
      const sandbox = runc.sandbox({
        namespaces: { network: own('net'), ipc: own('ipc'), uts: own('uts'), user: own('user') },
        config: securedSandbox({ namespaceOptions: options, cgroupParent: runc.cgroup }),
      });
      const [map, who] = await lines('cat /proc/self/uid_map; id -u', {
        security: { namespaceOptions: options },
        input: { sandbox },
      });
      assert.match(map ?? '', /^\s*0\s+200000\s+65536$/);
      assert.equal(who, '0');
    } finally {
      pod.kill('SIGKILL');
      await ended;
    }
  });

  describe('reads only files of its root', () => {
    const root = (): string => join(runc.directory, 'evil');
    beforeEach(() => mkdirSync(join(root(), 'etc'), { recursive: true }));
    afterEach(() => rmSync(root(), { recursive: true }));

    it('whatever a symlink says', () => {
      writeFileSync(join(runc.directory, 'secret'), 'host');
      writeFileSync(join(root(), 'real'), 'own');
      symlinkSync(join(runc.directory, 'secret'), join(root(), 'etc/passwd'));
      assert.equal(readInRoot(root(), '/etc/passwd', 100), undefined);
      symlinkSync('../../../../../real', join(root(), 'etc/group'));
      assert.equal(readInRoot(root(), '/etc/group', 100), 'own');
      assert.deepEqual(readAccounts(root()), { users: [], groups: [] });
      assert.equal(realpathSync(join(root(), 'etc/passwd')), join(runc.directory, 'secret'));
    });

    it('and no FIFO, directory or huge file', async () => {
      await execa('mkfifo', [join(root(), 'etc/passwd')]);
      assert.throws(() => readAccounts(root()), {
        code: 'FAILED_PRECONDITION',
        message: /not a regular file/,
      });
      rmSync(join(root(), 'etc/passwd'));
      mkdirSync(join(root(), 'etc/passwd'));
      assert.throws(() => readAccounts(root()), { code: 'FAILED_PRECONDITION' });
      rmSync(join(root(), 'etc/passwd'), { recursive: true });
      await execa('truncate', ['--size', '17M', join(root(), 'etc/passwd')]);
      assert.throws(() => readAccounts(root()), { code: 'FAILED_PRECONDITION', message: /larger than/ });
    });
  });
});
