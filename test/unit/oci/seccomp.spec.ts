import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinuxContainerSecurityContext__Output } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import type { HostFacts } from '../../../src/oci/host-facts.ts';
import { withSeccomp } from '../../../src/oci/seccomp.ts';
import { loadSeccompTemplate, seccompFromTemplate } from '../../../src/oci/seccomp-template.ts';
import type { LinuxSeccomp } from '../../../src/oci/types.ts';
import { hostFacts, secured, specInput } from './spec-input.ts';

const SC = 'config.linux.security_context';
type Security = Partial<LinuxContainerSecurityContext__Output>;

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
