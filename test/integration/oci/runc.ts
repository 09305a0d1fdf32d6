import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { readAccounts } from '../../../src/oci/accounts.ts';
import { buildSpec } from '../../../src/oci/build.ts';
import { encodeJson } from '../../../src/lib/exact-json.ts';
import { detectHostFacts } from '../../../src/oci/host-facts.ts';
import type { SandboxFacts, SpecInput } from '../../../src/oci/input.ts';
import { detectRuntimeFeatures } from '../../../src/oci/runtime-features.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import { unmountBelow } from '../../helpers/mounts.ts';
import { sandboxFacts, securedSandbox, specInput } from '../../unit/oci/spec-input.ts';

const CGROUPS = '/sys/fs/cgroup';
const PASSWD = 'root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/:/bin/sh\n';
const GROUP = 'root:x:0:\nann:x:1001:\nops:x:50000:ann\n';

/** Containers of real runc on a root file system of busybox, with directories, cgroups and a state directory of their own. */
export class Runc implements AsyncDisposable {
  // The tests' own TMPDIR is closed to others: a container in a user namespace could not reach its root there.
  readonly directory = mkdtempSync('/var/tmp/berth-oci-');
  /** Cgroup parent, as kubelet would name it. */
  readonly cgroup = `/berth-test-${randomBytes(4).toString('hex')}`;
  readonly bundle = join(this.directory, 'bundle');
  readonly rootfs = join(this.bundle, 'rootfs');
  #count = 0;

  constructor() {
    for (const path of ['bin', 'etc', 'tmp', 'proc', 'dev', 'sys'])
      mkdirSync(join(this.rootfs, path), { recursive: true });
    copyFileSync('/bin/busybox', join(this.rootfs, 'bin/busybox'));
    for (const name of [
      'sh',
      'cat',
      'id',
      'env',
      'pwd',
      'ls',
      'grep',
      'hostname',
      'chroot',
      'mount',
      'umount',
      'touch',
      'stat',
      'sleep',
      'tty',
      'readlink',
      'ulimit',
      'echo',
      'mkdir',
      'chmod',
      'unshare',
      'head',
      'tail',
      'dd',
      'ping',
    ])
      symlinkSync('busybox', join(this.rootfs, 'bin', name));
    writeFileSync(join(this.rootfs, 'etc/passwd'), PASSWD);
    writeFileSync(join(this.rootfs, 'etc/group'), GROUP);
    chmodSync(this.directory, 0o755);
  }

  /** The facts of a sandbox that has the node's namespaces, unless told otherwise. */
  sandbox(part: Partial<SandboxFacts> & { privileged?: boolean } = {}): SandboxFacts {
    const { privileged = false, ...rest } = part;
    return sandboxFacts({
      namespaces: {},
      config: securedSandbox({ privileged, cgroupParent: this.cgroup }),
      ...rest,
    });
  }

  async spec(part: Partial<SpecInput>): Promise<{ id: string; spec: RuntimeSpec }> {
    const id = `c${this.#count++}`;
    const spec = await buildSpec(
      specInput({
        id,
        sandbox: this.sandbox(),
        accounts: readAccounts(this.rootfs),
        host: detectHostFacts(),
        runtime: (await detectRuntimeFeatures('runc')).features,
        pidNamespace: '/proc/self/ns/pid',
        ...part,
      }),
    );
    return { id, spec };
  }

  /** Runs a container to its end; its output without trailing newline. Fails with its stderr. */
  async run(part: Partial<SpecInput>): Promise<string> {
    return (await (await this.start(part)).process).stdout;
  }

  async start(
    part: Partial<SpecInput>,
  ): Promise<{ id: string; spec: RuntimeSpec; process: ResultPromise<{ stdin: 'ignore' }> }> {
    const { id, spec } = await this.spec(part);
    writeFileSync(join(this.bundle, 'config.json'), encodeJson(spec));
    const process = execa(
      'runc',
      ['--root', join(this.directory, 'state'), 'run', '--bundle', this.bundle, id],
      {
        stdin: 'ignore',
        timeout: 20_000,
      },
    );
    return { id, spec, process };
  }

  async kill(id: string): Promise<void> {
    await execa('runc', ['--root', join(this.directory, 'state'), 'kill', id, 'KILL']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let i = 0; i < this.#count; i++)
      await execa('runc', ['--root', join(this.directory, 'state'), 'delete', '--force', `c${i}`], {
        reject: false,
      });
    for (const controller of readdirSync(CGROUPS)) removeCgroup(join(CGROUPS, controller, this.cgroup));
    removeCgroup(join(CGROUPS, this.cgroup));
    await unmountBelow(this.directory);
    rmSync(this.directory, { recursive: true });
  }
}

function removeCgroup(path: string): void {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroup(join(path, entry.name));
    rmdirSync(path);
  } catch {
    // Not every hierarchy has it.
  }
}
