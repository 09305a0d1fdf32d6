import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { withCapabilities } from '../../../src/oci/capabilities.ts';
import { capabilitiesOf, capabilityName } from '../../../src/oci/capability-names.ts';
import type { HostFacts } from '../../../src/oci/host-facts.ts';
import type { HandlerRules, SpecInput } from '../../../src/oci/input.ts';
import { withRoot } from '../../../src/oci/root.ts';
import { withSeccomp } from '../../../src/oci/seccomp.ts';
import { loadSeccompTemplate, seccompFromTemplate } from '../../../src/oci/seccomp-template.ts';
import { freeLevel, levelOf, podLabels, withMountLabel, withSelinux } from '../../../src/oci/selinux.ts';
import type { Capabilities, LinuxSeccomp, RuntimeSpec } from '../../../src/oci/types.ts';
import { handlerRules, hostFacts, sandboxFacts, secured, securedSandbox, specInput } from './spec-input.ts';

const SC = 'config.linux.security_context';
type Security = Partial<LinuxContainerSecurityContext__Output>;

describe('capabilities', () => {
  const DEFAULTS = BASE_SPEC.process.capabilities.bounding;
  const of = (
    add: string[],
    drop: string[] = [],
    ambient: string[] = [],
    more: Security = {},
  ): Capabilities =>
    withCapabilities(
      BASE_SPEC,
      specInput({
        config: secured({
          capabilities: { addCapabilities: add, dropCapabilities: drop, addAmbientCapabilities: ambient },
          ...more,
        }),
      }),
    ).process.capabilities;

  it('are the fourteen defaults, without inheritable and ambient ones', () => {
    const { capabilities } = withCapabilities(BASE_SPEC, specInput()).process;
    assert.equal(DEFAULTS.length, 14);
    assert.deepEqual(capabilities, { bounding: DEFAULTS, effective: DEFAULTS, permitted: DEFAULTS });
  });

  it('are added and dropped in any spelling', () => {
    const { bounding, effective, permitted } = of(['net_admin', 'CAP_SYS_TIME'], ['CAP_CHOWN', 'kill']);
    assert.ok(bounding.includes('CAP_NET_ADMIN') && bounding.includes('CAP_SYS_TIME'));
    assert.ok(!bounding.includes('CAP_CHOWN') && !bounding.includes('CAP_KILL'));
    assert.equal(bounding.length, 14);
    assert.deepEqual([effective, permitted], [bounding, bounding]);
  });

  it('take ALL before single names', () => {
    assert.deepEqual(of(['ALL'], ['NET_ADMIN']).bounding, ['CAP_CHOWN', 'CAP_SYS_ADMIN']);
    assert.deepEqual(of(['KILL'], ['ALL']).bounding, ['CAP_KILL']);
    assert.deepEqual(of([], ['all']).bounding, []);
  });

  it('make ambient ones inheritable, permitted and bounded, too', () => {
    const caps = of([], ['ALL'], ['NET_BIND_SERVICE']);
    assert.deepEqual(new Set(Object.values(caps).map(String)), new Set(['CAP_NET_BIND_SERVICE']));
    assert.equal(Object.keys(caps).length, 5);
  });

  it('of a privileged container are all that we have', () => {
    assert.deepEqual(of([], ['ALL'], [], { privileged: true }).bounding, hostFacts().capabilities);
  });

  it('with an unknown name are refused by its place', () => {
    assert.throws(() => of(['CHOWN', 'FLY']), { meta: { field: `${SC}.capabilities.add_capabilities[1]` } });
    assert.throws(() => of([], ['']), { meta: { field: `${SC}.capabilities.drop_capabilities[0]` } });
    assert.throws(() => of([], [], ['CAP_CAP_KILL']), {
      code: 'INVALID_ARGUMENT',
      meta: { field: `${SC}.capabilities.add_ambient_capabilities[0]` },
    });
  });

  it('are named by the bits of the kernel', () => {
    assert.deepEqual(capabilitiesOf('0000010000200001'), [
      'CAP_CHOWN',
      'CAP_SYS_ADMIN',
      'CAP_CHECKPOINT_RESTORE',
    ]);
    assert.deepEqual(capabilitiesOf('8000000000000000'), []);
    assert.equal(capabilityName('cap_bpf'), 'CAP_BPF');
  });
});

describe('seccomp', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-seccomp-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  const filter = async (part: Security, host: Partial<HostFacts> = {}): Promise<LinuxSeccomp | undefined> =>
    (await withSeccomp(BASE_SPEC, specInput({ config: secured(part), host: hostFacts(host) }))).linux.seccomp;
  const profile = (
    profileType: 'RuntimeDefault' | 'Unconfined' | 'Localhost',
    localhostRef = '',
  ): Pick<LinuxContainerSecurityContext__Output, 'seccomp'> => ({ seccomp: { profileType, localhostRef } });
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  it('is off when nothing is asked for, when unconfined, and when privileged', async () => {
    assert.equal(await filter({}), undefined);
    assert.equal(await filter(profile('Unconfined')), undefined);
    assert.equal(await filter({ ...profile('RuntimeDefault'), privileged: true }), undefined);
    assert.equal(await filter({ ...profile('Localhost', '/absent'), privileged: true }), undefined);
    assert.equal(await filter({ seccompProfilePath: 'unconfined' }), undefined);
  });

  it("is the node's for those who ask for nothing, where it has one", async () => {
    const path = write('unset.json', '{"defaultAction":"SCMP_ACT_LOG"}');
    const unset = async (unsetSeccomp: string, part: Security = {}): Promise<string | undefined> => {
      const { linux } = await withSeccomp(BASE_SPEC, specInput({ config: secured(part), unsetSeccomp }));
      return linux.seccomp?.defaultAction;
    };
    assert.equal(await unset('runtime/default'), 'SCMP_ACT_ERRNO');
    assert.equal(await unset(`localhost/${path}`), 'SCMP_ACT_LOG');
    assert.equal(await unset('unconfined'), undefined);
    for (const asked of [{ privileged: true }, profile('Unconfined'), { seccompProfilePath: 'unconfined' }])
      assert.equal(await unset('runtime/default', asked), undefined);
    await assert.rejects(unset('localhost//absent'), { meta: { field: 'runtime.unset_seccomp_profile' } });
  });

  it('takes the deprecated string only without the message', async () => {
    const byMessage = await filter(profile('RuntimeDefault'));
    assert.equal(byMessage?.defaultAction, 'SCMP_ACT_ERRNO');
    for (const path of ['runtime/default', 'docker/default'])
      assert.deepEqual(await filter({ seccompProfilePath: path }), byMessage);
    assert.equal(
      await filter({ ...profile('Unconfined'), seccompProfilePath: 'runtime/default' }),
      undefined,
    );
    for (const path of ['mine', 'localhost/mine', 'localhost//absent'])
      await assert.rejects(filter({ seccompProfilePath: path }), {
        meta: { field: `${SC}.seccomp_profile_path` },
      });
  });

  it('reads a local profile, with every bit of its numbers', async () => {
    const path = write(
      'deny.json',
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}',
    );
    const read = await filter(profile('Localhost', path));
    assert.equal(read?.syscalls?.[0]?.args?.[0]?.value, 18446744073709551615n);
    assert.deepEqual(await filter(profile('Localhost', `localhost/${path}`)), read);
    assert.deepEqual(await filter({ seccompProfilePath: `localhost/${path}` }), read);
  });

  it('refuses a local profile that is absent or none, naming it', async () => {
    const bad = [
      join(directory, 'absent.json'),
      write('broken.json', '{'),
      write('list.json', '[]'),
      write('empty.json', '{}'),
      write('odd.json', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}'),
      'relative.json',
      '',
      directory,
      '/dev/zero',
    ];
    for (const path of bad) {
      await assert.rejects(
        filter(profile('Localhost', path)),
        { code: 'INVALID_ARGUMENT', meta: { field: `${SC}.seccomp.localhost_ref` } },
        path,
      );
    }
    await assert.rejects(filter(profile('RuntimeDefault', '/x')), {
      meta: { field: `${SC}.seccomp.localhost_ref` },
    });
  });

  it('is refused where the kernel has none, unless unconfined', async () => {
    assert.equal(await filter(profile('Unconfined'), { seccomp: false }), undefined);
    await assert.rejects(filter(profile('RuntimeDefault'), { seccomp: false }), {
      code: 'FAILED_PRECONDITION',
    });
  });

  describe('RuntimeDefault', () => {
    const allowed = async (capabilities: string[], architecture = 'x64'): Promise<Set<string>> => {
      const { syscalls = [] } = seccompFromTemplate(await loadSeccompTemplate(), capabilities, architecture);
      const free = syscalls.filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined);
      return new Set(free.flatMap(({ names }) => names));
    };

    it('allows what programs do and not what changes the machine', async () => {
      const names = await allowed([]);
      for (const name of ['read', 'openat', 'execve', 'futex', 'ptrace', 'arch_prctl'])
        assert.ok(names.has(name), name);
      const never = [
        'mount',
        'unshare',
        'reboot',
        'init_module',
        'bpf',
        'keyctl',
        'io_uring_setup',
        'kexec_load',
        'swapon',
      ];
      for (const name of never) assert.ok(!names.has(name), name);
    });

    it('knows the system calls of recent kernels', async () => {
      const names = await allowed([]);
      const harmless = ['uretprobe', 'mseal', 'statmount', 'listmount'];
      const attributes = ['getxattrat', 'setxattrat', 'listxattrat', 'removexattrat'];
      for (const name of [...harmless, ...attributes]) assert.ok(names.has(name), name);
      const admin = await allowed(['CAP_SYS_ADMIN']);
      for (const name of ['lsm_get_self_attr', 'lsm_set_self_attr', 'lsm_list_modules'])
        assert.deepEqual([names.has(name), admin.has(name)], [false, true], name);
      assert.ok((await allowed([], 'riscv64')).has('riscv_hwprobe'));
    });

    it("allows sockets of every family but the kernel's cryptography and the hypervisor's", async () => {
      const { syscalls = [] } = seccompFromTemplate(await loadSeccompTemplate(), [], 'x64');
      const rules = syscalls.filter(({ names }) => names.includes('socket'));
      const isAllowed = (family: number): boolean =>
        rules.some(({ args = [] }) =>
          args.every(({ index, op, value }) => {
            assert.equal(index, 0);
            if (op === 'SCMP_CMP_LT') return family < value;
            return op === 'SCMP_CMP_GT' ? family > value : op === 'SCMP_CMP_EQ' && family === value;
          }),
        );
      const families = Array.from({ length: 50 }, (_, family) => family);
      assert.deepEqual(
        families.filter((family) => !isAllowed(family)),
        [38, 40],
      );
    });

    it('follows the capabilities', async () => {
      const admin = await allowed(['CAP_SYS_ADMIN']);
      assert.ok(admin.has('mount') && admin.has('clone') && admin.has('clone3') && !admin.has('reboot'));
      assert.ok((await allowed(['CAP_SYS_CHROOT'])).has('chroot'));
      assert.ok((await allowed(['CAP_BPF'])).has('bpf'));
    });

    it('lets clone make no namespace and clone3 seem absent without CAP_SYS_ADMIN', async () => {
      const template = await loadSeccompTemplate();
      const rules = (capabilities: string[], architecture: string, name: string): unknown[] =>
        (seccompFromTemplate(template, capabilities, architecture).syscalls ?? []).filter(({ names }) =>
          names.includes(name),
        );
      const flags = 0x7e02_0000;
      assert.deepEqual(rules([], 'x64', 'clone'), [
        {
          names: ['clone'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: flags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
        },
      ]);
      assert.match(JSON.stringify(rules([], 's390x', 'clone')), /"index":1/);
      for (const name of ['clone', 'clone3'])
        assert.deepEqual(rules(['CAP_SYS_ADMIN'], 'x64', name).length, 1, name);
      assert.deepEqual(rules([], 'x64', 'clone3'), [
        { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
      ]);
    });

    it('lists the other architectures whose calls a process can make', async () => {
      const template = await loadSeccompTemplate();
      const of = (architecture: string): unknown =>
        seccompFromTemplate(template, [], architecture).architectures;
      assert.deepEqual(of('x64'), ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
      assert.equal(of('alpha'), undefined);
      assert.ok(!(await allowed([], 'arm64')).has('arch_prctl'));
    });

    it('names a template that cannot be used', async () => {
      await assert.rejects(loadSeccompTemplate(write('template.json', '{"rules":[]}')), {
        code: 'FAILED_PRECONDITION',
        message: /template\.json/,
      });
    });
  });
});

describe('SELinux', () => {
  const policy = {
    processLabel: 'system_u:system_r:container_t:s0',
    fileLabel: 'system_u:object_r:container_file_t:s0',
    machineType: 'container_kvm_t',
    knows: (label: string) => !label.includes('nobody'),
  };
  const labels = podLabels(policy, null, 's0:c1,c2');
  const labelled = (part: Security, there: boolean, handler: Partial<HandlerRules> = {}): RuntimeSpec =>
    withSelinux(
      BASE_SPEC,
      specInput({
        config: secured(part),
        host: hostFacts({ selinux: there ? policy : undefined }),
        sandbox: sandboxFacts({ selinux: labels }),
        handler: handlerRules(handler),
      }),
    );
  const options = (part: Partial<Record<'user' | 'role' | 'type' | 'level', string>>): Security => ({
    selinuxOptions: { user: '', role: '', type: '', level: '', ...part },
  });

  it("labels with the pod's label and the container's changes to it", () => {
    assert.equal(labelled({}, true).process.selinuxLabel, labels.processLabel);
    assert.equal(labelled({}, true).linux.mountLabel, labels.mountLabel);
    const own = labelled(options({ type: 'spc_t', level: 's0:c3' }), true);
    assert.equal(own.process.selinuxLabel, 'system_u:system_r:spc_t:s0:c3');
    assert.equal(own.linux.mountLabel, 'system_u:object_r:container_file_t:s0:c3');
  });

  it('gives each pod a level of its own, which its files have too', () => {
    // Of pods that are made at the same time none is among those taken yet.
    const given = Array.from({ length: 5_000 }, () => freeLevel(new Set()));
    assert.equal(new Set(given).size, given.length);
    for (const level of given) {
      const [low = 0, high = 0] = /^s0:c(\d+),c(\d+)$/.exec(level)?.slice(1).map(Number) ?? [];
      assert.ok(0 <= low && low < high && high < 1_024, level);
    }
    const taken = new Set<string>();
    for (let i = 0; i < 50; i += 1) taken.add(freeLevel(taken));
    assert.equal(taken.size, 50);
    assert.deepEqual(podLabels(policy, null, 's0:c1,c2'), {
      processLabel: 'system_u:system_r:container_t:s0:c1,c2',
      mountLabel: 'system_u:object_r:container_file_t:s0:c1,c2',
    });
    const asked = podLabels(policy, { user: 'u', role: 'r', type: 't', level: 's0:c9' }, 's0:c1,c2');
    assert.deepEqual(asked, { processLabel: 'u:r:t:s0:c9', mountLabel: 'u:object_r:container_file_t:s0:c9' });
    assert.equal(levelOf(asked.mountLabel), 's0:c9');
    assert.equal(levelOf(''), '');
  });

  it('is of three parts when the policy has no levels', () => {
    const flat = { ...policy, processLabel: 'system_u:system_r:container_t', fileLabel: 'u:object_r:file_t' };
    assert.deepEqual(podLabels(flat, null, 's0:c1,c2'), {
      processLabel: 'system_u:system_r:container_t',
      mountLabel: 'u:object_r:file_t',
    });
  });

  it('has no effect without SELinux, and on the processes of a privileged container', () => {
    assert.equal(labelled(options({ type: 'spc_t' }), false), BASE_SPEC);
    for (const part of [{}, options({ type: 'spc_t' })]) {
      const { process, linux } = labelled({ privileged: true, ...part }, true);
      assert.deepEqual([process.selinuxLabel, linux.mountLabel], [undefined, labels.mountLabel]);
    }
  });

  it("gives Kata's virtual machine the type that the policy has for it", () => {
    const { process, linux } = labelled({}, true, { type: 'io.containerd.kata.v2' });
    assert.equal(process.selinuxLabel, 'system_u:system_r:container_kvm_t:s0:c1,c2');
    assert.equal(linux.mountLabel, labels.mountLabel);
  });

  it("is, in quotes, an option of the mounts of what is a container's own", () => {
    const mounts = [{ type: 'overlay', options: ['ro'] }];
    assert.deepEqual(withMountLabel(mounts, labels.mountLabel), [
      { type: 'overlay', options: ['ro', 'context="system_u:object_r:container_file_t:s0:c1,c2"'] },
    ]);
    assert.deepEqual(withMountLabel(mounts, undefined), mounts);
  });

  it('refuses a label that the policy does not know', () => {
    const refused = { code: 'INVALID_ARGUMENT', meta: { field: `${SC}.selinux_options` } };
    assert.throws(() => labelled(options({ type: 'nobody_t' }), true), refused);
    const unknown = { user: '', role: '', level: '', type: 'nobody_t' };
    assert.throws(() => podLabels(policy, unknown, 's0:c1,c2'), refused);
  });

  it('refuses a level or a part that is none, on every node', () => {
    for (const level of ['s0:', 'c1', 's0:c12345', 's0;x'])
      assert.throws(
        () => labelled(options({ level }), false),
        { meta: { field: `${SC}.selinux_options.level` } },
        level,
      );
    assert.throws(() => labelled(options({ type: 'a:b' }), false), {
      meta: { field: `${SC}.selinux_options.type` },
    });
  });
});

describe('the root file system', () => {
  const of = (part: Security, input: Partial<SpecInput> = {}): RuntimeSpec =>
    withRoot(BASE_SPEC, specInput({ config: secured(part), ...input }));
  const privileged = { sandbox: sandboxFacts({ config: securedSandbox({ privileged: true }) }) };
  const optionsOf = (spec: RuntimeSpec, destination: string): readonly string[] =>
    spec.mounts.find((mount) => mount.destination === destination)?.options ?? [];

  it('is writable, with /sys and cgroups read-only and only the paths of the request masked', () => {
    const plain = of({});
    assert.deepEqual(
      [plain.root.readonly, plain.linux.maskedPaths, plain.linux.readonlyPaths],
      [undefined, undefined, undefined],
    );
    for (const path of ['/sys', '/sys/fs/cgroup']) assert.ok(optionsOf(plain, path).includes('ro'), path);
    const strict = of({ readonlyRootfs: true, maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys/'] });
    assert.equal(strict.root.readonly, true);
    assert.deepEqual(
      [strict.linux.maskedPaths, strict.linux.readonlyPaths],
      [['/proc/kcore'], ['/proc/sys']],
    );
  });

  it('of a privileged container has nothing masked, and /sys and cgroups writable', () => {
    const spec = of(
      { privileged: true, maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys'] },
      privileged,
    );
    assert.deepEqual([spec.linux.maskedPaths, spec.linux.readonlyPaths], [undefined, undefined]);
    for (const path of ['/sys', '/sys/fs/cgroup']) {
      assert.ok(optionsOf(spec, path).includes('rw') && !optionsOf(spec, path).includes('ro'), path);
    }
  });

  it('has cgroups that are writable where the handler says so, on v2 alone', () => {
    const handler = handlerRules({ cgroupWritable: true });
    const access = (cgroups: HostFacts['cgroups']): (string | undefined)[] => {
      const spec = of({}, { handler, host: hostFacts({ cgroups }) });
      return ['/sys', '/sys/fs/cgroup'].map((path) => optionsOf(spec, path).at(-1));
    };
    assert.deepEqual(access('v2'), ['ro', 'rw']);
    for (const cgroups of ['v1', 'hybrid'] as const) assert.deepEqual(access(cgroups), ['ro', 'ro']);
  });

  it('refuses a privileged container in a sandbox that is not, and paths that are none', () => {
    assert.throws(() => of({ privileged: true }), {
      message: /no privileged container allowed in sandbox/,
      meta: { field: `${SC}.privileged` },
    });
    assert.throws(() => of({ maskedPaths: ['/a', 'b'] }), { meta: { field: `${SC}.masked_paths[1]` } });
    assert.throws(() => of({ readonlyPaths: [''] }), { meta: { field: `${SC}.readonly_paths[0]` } });
  });
});
