import assert from 'node:assert/strict';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { withCapabilities } from '../../../src/oci/capabilities.ts';
import { capabilitiesOf, capabilityName } from '../../../src/oci/capability-names.ts';
import type { HostFacts } from '../../../src/oci/host-facts.ts';
import type { HandlerRules, SpecInput } from '../../../src/oci/input.ts';
import { withRoot } from '../../../src/oci/root.ts';
import { freeLevel, levelOf, podLabels, withMountLabel, withSelinux } from '../../../src/oci/selinux.ts';
import type { Capabilities, RuntimeSpec } from '../../../src/oci/types.ts';
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
