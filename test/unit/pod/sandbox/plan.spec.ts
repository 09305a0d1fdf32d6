import assert from 'node:assert/strict';
import type { PodSandboxConfig__Output } from '../../../../src/gen/runtime/v1/PodSandboxConfig.ts';
import { configSchema } from '../../../../src/config/schema.ts';
import { BerthError } from '../../../../src/lib/errors.ts';
import { planSandbox, type SandboxPlan } from '../../../../src/pod/sandbox/plan.ts';

const settings = configSchema.parse({
  containerd: { runtimes: { runc: {}, kata: { sandbox: 'pause' } } },
});

/** As proto-loader decodes a message with nothing but metadata. */
function config(change: Record<string, unknown> = {}): PodSandboxConfig__Output {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u-1', attempt: 2 },
    hostname: '',
    logDirectory: '',
    dnsConfig: null,
    portMappings: [],
    labels: {},
    annotations: {},
    linux: null,
    windows: null,
    ...change,
  };
}

function linux(change: Record<string, unknown>): PodSandboxConfig__Output {
  return config({
    linux: {
      cgroupParent: '',
      securityContext: null,
      sysctls: {},
      overhead: null,
      resources: null,
      ...change,
    },
  });
}

function modes(options: Record<string, unknown>): PodSandboxConfig__Output {
  const namespaceOptions = {
    network: 'POD',
    pid: 'CONTAINER',
    ipc: 'POD',
    targetId: '',
    usernsOptions: null,
    ...options,
  };
  return linux({ securityContext: { namespaceOptions } });
}

function plan(asked: PodSandboxConfig__Output | null, handler = ''): SandboxPlan {
  return planSandbox(asked, handler, settings);
}

function port(change: Record<string, unknown>): Record<string, unknown> {
  return { protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '', ...change };
}

describe('planSandbox', () => {
  it('reserves the name that kubelet would use again', () => {
    assert.equal(plan(config()).reservedName, 'web_default_u-1_2');
  });

  it("gives pods with their own network containerd's two sysctls, which the pod may override", () => {
    assert.deepEqual(plan(config()).sysctls, {
      'net.ipv4.ip_unprivileged_port_start': '0',
      'net.ipv4.ping_group_range': '0 2147483647',
    });
    const own = plan(
      linux({ sysctls: { 'net.ipv4.ip_unprivileged_port_start': '1024', 'kernel.shmmax': '1' } }),
    );
    assert.equal(own.sysctls['net.ipv4.ip_unprivileged_port_start'], '1024');
    assert.equal(own.sysctls['kernel.shmmax'], '1');
    assert.deepEqual(plan(modes({ network: 'NODE' })).sysctls, {});
  });

  it('takes every pid mode, and NODE for network and ipc', () => {
    for (const pid of ['POD', 'CONTAINER', 'NODE', 'TARGET']) plan(modes({ pid }));
    assert.deepEqual(plan(modes({ network: 'NODE', ipc: 'NODE' })).namespaces, {
      network: 'NODE',
      ipc: 'NODE',
    });
  });

  it("keeps the hostname from pods that use the node's UTS namespace", () => {
    const asked = { ...modes({ network: 'NODE' }), hostname: 'web' };
    assert.equal(plan(asked).hostname, '');
  });

  it('takes the same host port for two protocols or two host addresses', () => {
    const portMappings = [
      port({}),
      port({ protocol: 'UDP' }),
      port({ hostIp: '127.0.0.1' }),
      port({ hostPort: 0 }),
    ];
    plan(config({ portMappings }));
  });

  const name64 = 'a'.repeat(65);
  const bad: [string, string, PodSandboxConfig__Output | null, string?][] = [
    ['no config', 'config', null],
    ['no metadata', 'config.metadata', config({ metadata: null })],
    [
      'an empty name',
      'config.metadata.name',
      config({ metadata: { name: '', namespace: 'n', uid: 'u', attempt: 0 } }),
    ],
    [
      'a name with a slash',
      'config.metadata.name',
      config({ metadata: { name: 'a/b', namespace: 'n', uid: 'u', attempt: 0 } }),
    ],
    [
      'a name with dots',
      'config.metadata.name',
      config({ metadata: { name: 'a..b', namespace: 'n', uid: 'u', attempt: 0 } }),
    ],
    [
      'an over-long name',
      'config.metadata.name',
      config({ metadata: { name: 'a'.repeat(254), namespace: 'n', uid: 'u', attempt: 0 } }),
    ],
    [
      'no namespace',
      'config.metadata.namespace',
      config({ metadata: { name: 'a', namespace: '', uid: 'u', attempt: 0 } }),
    ],
    [
      'a uid that would end CNI_ARGS',
      'config.metadata.uid',
      config({ metadata: { name: 'a', namespace: 'n', uid: 'u;IP=1', attempt: 0 } }),
    ],
    ['an unknown handler', 'runtime_handler', config(), 'nope'],
    [
      'a log directory that escapes',
      'config.log_directory',
      config({ logDirectory: '/var/log/pods/../../etc' }),
    ],
    ['a relative log directory', 'config.log_directory', config({ logDirectory: 'var/log' })],
    ['a log directory with the name of a slice', 'config.log_directory', config({ logDirectory: 'a.slice' })],
    [
      'a cgroup parent that escapes',
      'config.linux.cgroup_parent',
      linux({ cgroupParent: '/kubepods/../..' }),
    ],
    ['a slice outside', 'config.linux.cgroup_parent', linux({ cgroupParent: 'kubepods.slice/../a.slice' })],
    ['a relative cgroup parent', 'config.linux.cgroup_parent', linux({ cgroupParent: 'kubepods/pod1' })],
    ['a slice that cannot be', 'config.linux.cgroup_parent', linux({ cgroupParent: 'kubepods--pod1.slice' })],
    [
      'a host port out of range',
      'config.port_mappings[0].host_port',
      config({ portMappings: [port({ hostPort: 65536 })] }),
    ],
    [
      'a negative host port',
      'config.port_mappings[0].host_port',
      config({ portMappings: [port({ hostPort: -1 })] }),
    ],
    [
      'a container port out of range',
      'config.port_mappings[0].container_port',
      config({ portMappings: [port({ containerPort: 70000 })] }),
    ],
    [
      'a host port without container port',
      'config.port_mappings[0].container_port',
      config({ portMappings: [port({ containerPort: 0 })] }),
    ],
    [
      'the same host port twice',
      'config.port_mappings[1].host_port',
      config({ portMappings: [port({}), port({ containerPort: 81 })] }),
    ],
    [
      'a host address that is none',
      'config.port_mappings[0].host_ip',
      config({ portMappings: [port({ hostIp: 'localhost' })] }),
    ],
    [
      'an unknown protocol',
      'config.port_mappings[0].protocol',
      config({ portMappings: [port({ protocol: 9 })] }),
    ],
    [
      'an unknown network mode',
      'config.linux.security_context.namespace_options.network',
      modes({ network: 7 }),
    ],
    [
      'network TARGET',
      'config.linux.security_context.namespace_options.network',
      modes({ network: 'TARGET' }),
    ],
    ['ipc CONTAINER', 'config.linux.security_context.namespace_options.ipc', modes({ ipc: 'CONTAINER' })],
    ['an unknown pid mode', 'config.linux.security_context.namespace_options.pid', modes({ pid: 12 })],
    [
      'a sysctl of the node',
      'config.linux.sysctls["vm.swappiness"]',
      linux({ sysctls: { 'vm.swappiness': '1' } }),
    ],
    [
      'a sysctl that climbs',
      'config.linux.sysctls["net/../kernel/x"]',
      linux({ sysctls: { 'net/../kernel/x': '1' } }),
    ],
    [
      'kernel.hostname as sysctl',
      'config.linux.sysctls["kernel.hostname"]',
      linux({ sysctls: { 'kernel.hostname': 'x' } }),
    ],
    [
      'a sysctl of two lines',
      'config.linux.sysctls["net.core.somaxconn"]',
      linux({ sysctls: { 'net.core.somaxconn': '1\n2' } }),
    ],
    ['a hostname with a space', 'config.hostname', config({ hostname: 'a b' })],
    ['an over-long hostname', 'config.hostname', config({ hostname: name64 })],
    [
      'a nameserver of two lines',
      'config.dns_config.servers[0]',
      config({ dnsConfig: { servers: ['1.1.1.1\nsearch x'], searches: [], options: [] } }),
    ],
    ['a label of 1 MB', 'config.labels["big"]', config({ labels: { big: 'x'.repeat(1_000_000) } })],
    ['annotations of 1 MB', 'config.annotations', config({ annotations: { big: 'x'.repeat(1_000_000) } })],
  ];
  for (const [what, field, asked, handler] of bad) {
    it(`refuses ${what}, naming ${field}`, () => {
      assert.throws(
        () => plan(asked, handler),
        (error) =>
          error instanceof BerthError &&
          error.code === 'INVALID_ARGUMENT' &&
          error.message.startsWith(`invalid ${field}: `),
      );
    });
  }

  it('takes only cgroup parents of the driver that is configured, and of either where none is', () => {
    const of = (driver: string, cgroupParent: string): unknown =>
      planSandbox(
        linux({ cgroupParent }),
        '',
        configSchema.parse({
          containerd: { runtimes: { runc: {} } },
          runtime: { cgroupDriver: driver },
        }),
      );
    const [slice, path] = ['kubepods-pod1.slice', '/kubepods/pod1'];
    for (const [driver, parent] of [
      ...['systemd', 'cgroupfs', 'auto'].map((each) => [each, ''] as const),
      ...[slice, `/kubepods.slice/${slice}`, path].map((each) => ['auto', each] as const),
      ['systemd', slice],
      ['cgroupfs', path],
    ] as const)
      of(driver, parent);
    assert.throws(() => of('systemd', path), {
      code: 'INVALID_ARGUMENT',
      message:
        'invalid config.linux.cgroup_parent: "/kubepods/pod1" is no slice of systemd, but [runtime] cgroup_driver is "systemd"',
    });
    assert.throws(
      () => of('cgroupfs', slice),
      /cgroup_parent: "kubepods-pod1\.slice" is a slice of systemd, but .+ "cgroupfs"$/,
    );
  });

  it("refuses net sysctls of a pod on the node's network, and ipc ones on its ipc", () => {
    const host = modes({ network: 'NODE', ipc: 'NODE' });
    const withSysctl = (name: string): PodSandboxConfig__Output => ({
      ...host,
      linux: { ...host.linux!, sysctls: { [name]: '1' } },
    });
    assert.throws(() => plan(withSysctl('net.core.somaxconn')), /the pod uses the node's network namespace/);
    assert.throws(() => plan(withSysctl('kernel.msgmax')), /the pod uses the node's ipc namespace/);
  });

  it('takes one mapping of each kind for a user namespace, with root in it', () => {
    const ids = [{ hostId: 100_000, containerId: 0, length: 65_536 }];
    const userns = (usernsOptions: object): unknown => plan(modes({ usernsOptions }));
    userns({ mode: 'POD', uids: ids, gids: ids });
    userns({ mode: 'NODE', uids: [], gids: [] });
    const refused = /userns_options/;
    assert.throws(() => userns({ mode: 'POD', uids: [...ids, ...ids], gids: ids }), refused);
    assert.throws(() => userns({ mode: 'POD', uids: ids, gids: [] }), refused);
    assert.throws(() => userns({ mode: 'CONTAINER', uids: [], gids: [] }), refused);
    const rootless = [{ hostId: 100_000, containerId: 1, length: 65_536 }];
    assert.throws(() => userns({ mode: 'POD', uids: rootless, gids: rootless }), refused);
  });
});
