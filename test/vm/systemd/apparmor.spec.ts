import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import type { ContainerConfig } from '../../../src/gen/runtime/v1/ContainerConfig.ts';
import type { LinuxContainerSecurityContext } from '../../../src/gen/runtime/v1/LinuxContainerSecurityContext.ts';
import { ApparmorProfiles, apparmorLabel, FailingParser } from '../../helpers/apparmor.ts';
import { main } from '../../helpers/daemon.ts';
import { ContainerRig, type Pod } from '../../integration/containers/rig.ts';

const FOREVER = ['sleep', '3600'];
const DEFAULT = 'berth-default (enforce)';
const FIELD = 'config.linux.security_context';

/** For what has a profile, but is not kept from anything. */
const EVERYTHING =
  'file, network, unix, capability, mount, umount, pivot_root, signal, ptrace, change_profile,';

/** Without signals no runtime could end what has it. */
const STRICT = 'file, network, signal, deny /etc/** w,';

describe('AppArmor', () => {
  let profiles: ApparmorProfiles;
  let rig: ContainerRig;
  let pod: Pod;
  /** As kubelet names its slices. */
  let top: string;

  before(async () => {
    profiles = new ApparmorProfiles();
    profiles.load('berth-test-strict', STRICT);
    profiles.load('berth-test-told', STRICT, 'complain');
    rig = await ContainerRig.start();
    top = rig.cgroup.replaceAll('-', '');
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    profiles[Symbol.dispose]();
  });

  beforeEach(async () => {
    const securityContext = { privileged: true };
    pod = await rig.runPod('main', { linux: { cgroupParent: `${top}-main.slice`, securityContext } });
  });

  afterEach(async () => {
    await rig.clear();
    await execa('systemctl', ['stop', `${top}.slice`]);
  });

  const run = (name: string, security: LinuxContainerSecurityContext = {}, more: ContainerConfig = {}) =>
    rig.run(pod, name, FOREVER, { ...secured(security), ...more });
  const labelOf = async (id: string): Promise<string> => apparmorLabel(await pidOf(id));
  const labelWith = async (name: string, security: LinuxContainerSecurityContext): Promise<string> =>
    labelOf(await run(name, security));
  const pidOf = async (id: string): Promise<number> => {
    const { info } = await rig.statusResponse(id, true);
    return (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
  };
  const sh = async (id: string, script: string): Promise<{ out: string; exitCode: number }> => {
    const { stdout, stderr, exitCode } = await rig.exec(id, ['sh', '-c', script]);
    return { out: stdout + stderr, exitCode };
  };

  it('confines by the default profile unless told otherwise, and what is run in the container, too', async () => {
    const id = await run('bare');
    assert.equal(await labelOf(id), DEFAULT);
    const { stdout } = await rig.exec(id, ['cat', '/proc/self/attr/current']);
    assert.equal(stdout.trim(), DEFAULT);
    const message = { apparmor: { profileType: 'RuntimeDefault' } } as const;
    const shared = { namespaceOptions: { pid: 'POD' } } as const;
    assert.equal(await labelWith('message', { ...message, ...shared }), DEFAULT);
    assert.equal(await labelWith('string', { apparmorProfile: 'runtime/default' }), DEFAULT);
    const { info } = await rig.daemon.client.podStatus(pod.id, true);
    const pause = (JSON.parse(info['info'] ?? '{}') as { pid: number }).pid;
    assert.equal(apparmorLabel(pause), 'unconfined', 'pause process');
  });

  it('leaves alone what is to be unconfined, and what is privileged and names no profile', async () => {
    const unconfined: LinuxContainerSecurityContext[] = [
      { apparmor: { profileType: 'Unconfined' } },
      { apparmorProfile: 'unconfined' },
      { apparmor: { profileType: 'Unconfined' }, apparmorProfile: 'localhost/berth-test-strict' },
      { privileged: true },
      { privileged: true, apparmor: { profileType: 'RuntimeDefault' } },
    ];
    for (const [index, security] of unconfined.entries())
      assert.equal(await labelWith(`c${index}`, security), 'unconfined', JSON.stringify(security));
  });

  it('confines by a profile of the node, of which it says the mode', async () => {
    const of = (localhostRef: string) => ({ apparmor: { profileType: 'Localhost', localhostRef } }) as const;
    const strict = await run('strict', of('berth-test-strict'));
    assert.equal(await labelOf(strict), 'berth-test-strict (enforce)');
    assert.match((await sh(strict, 'echo > /etc/new')).out, /Permission denied/);
    const told = await run('told', { apparmorProfile: 'localhost/berth-test-told' });
    assert.equal(await labelOf(told), 'berth-test-told (complain)');
    const privileged = { ...of('localhost/berth-test-strict'), privileged: true };
    assert.equal(await labelWith('privileged', privileged), 'berth-test-strict (enforce)');
  });

  it('refuses with the name of the field a profile that is not loaded, and what is none', async () => {
    const refused: [LinuxContainerSecurityContext, string][] = [
      [
        { apparmor: { profileType: 'Localhost', localhostRef: 'berth-test' } },
        `${FIELD}.apparmor.localhost_ref: apparmor profile not found berth-test`,
      ],
      [
        { apparmorProfile: 'localhost/berth-test' },
        `${FIELD}.apparmor_profile: apparmor profile not found berth-test`,
      ],
      [
        { apparmor: { profileType: 'Localhost', localhostRef: '' } },
        `${FIELD}.apparmor.localhost_ref: must not be empty`,
      ],
      [
        { apparmor: { profileType: 'RuntimeDefault', localhostRef: 'berth-test-strict' } },
        `${FIELD}.apparmor.localhost_ref: must only be set when profile_type is Localhost`,
      ],
      [
        { apparmorProfile: 'berth-test-strict' },
        `${FIELD}.apparmor_profile: "berth-test-strict" is not a profile`,
      ],
    ];
    for (const [security, details] of refused)
      await assert.rejects(rig.create(pod, 'bad', FOREVER, secured(security)), {
        code: status.INVALID_ARGUMENT,
        details: new RegExp(`${details}$`),
      });
  });

  describe('with its default profile', () => {
    /** Nothing but the profile keeps it from what is the machine's. */
    const mighty = { privileged: true, apparmorProfile: 'localhost/berth-default' };

    it('keeps containers from mounting and from changing the machine by way of /proc and /sys', async () => {
      // To open a file changes nothing.
      const writable =
        'for f in $(find /proc/[!0-9]* /sys -type f -perm -200 2>/dev/null); do true 2>/dev/null >> $f && echo $f; done';
      const opened = async (id: string): Promise<string[]> =>
        (await sh(id, `{ ${writable}; } 2>/dev/null`)).out
          .split('\n')
          .filter((path) => path !== '' && !path.startsWith('/sys/fs/cgroup/'));
      const free = await opened(await run('free', { privileged: true }));
      for (const path of ['/proc/sysrq-trigger', '/proc/sys/vm/swappiness', '/sys/kernel/uevent_helper'])
        assert.ok(free.includes(path), path);
      const confined = await run('confined', mighty);
      // What is left is the pod's own.
      assert.deepEqual(
        await opened(confined),
        free.filter((path) => /^\/proc\/sys\/kernel\/(msg|sem|shm)/.test(path)),
      );
      const mounts = await sh(
        confined,
        'mkdir -p /mnt; mount -t tmpfs none /mnt; mount -o bind /etc /mnt; cat /proc/sysrq-trigger',
      );
      assert.deepEqual(mounts.out.match(/[Pp]ermission denied/g)?.length, 3, mounts.out);
    });

    it('keeps containers from what /sys tells of the machine’s secrets', async () => {
      const sys = mkdtempSync(join(tmpdir(), 'berth-sys-'));
      try {
        // The kernel here may have none of these, but the profile goes by their names.
        const secrets = ['firmware/acpi', 'devices/virtual/powercap/intel-rapl', 'kernel/security/apparmor'];
        for (const secret of secrets) {
          mkdirSync(join(sys, secret), { recursive: true });
          writeFileSync(join(sys, secret, 'secret'), 'secret\n');
        }
        const id = await run('reader', mighty, { mounts: [{ hostPath: sys, containerPath: '/sys' }] });
        for (const secret of secrets)
          assert.match((await sh(id, `cat /sys/${secret}/secret`)).out, /Permission denied/, secret);
      } finally {
        rmSync(sys, { recursive: true });
      }
    });

    it('lets processes of the container signal and trace each other, and no others', async () => {
      const shared = { namespaceOptions: { pid: 'NODE' } } as const;
      // Perl of the machine, for what no program of the image does.
      const mounts = ['/usr', '/lib', '/lib64'].map((path) => ({ hostPath: path, containerPath: path }));
      const id = await run(
        'one',
        { ...shared, capabilities: { addCapabilities: ['SYS_PTRACE'] } },
        { mounts },
      );
      const other = await run('other', { ...shared, apparmorProfile: 'unconfined' });
      const attach = (pid: string): string =>
        `/usr/bin/perl -e 'print syscall(101, 0x4206, ${pid}, 0, 0) == 0 ? "traced" : $!, "\\n"'`;
      const inside = [
        'exec 2> /dev/null; sleep 600 & p=$!; sleep 1',
        'tr "\\0" "\\n" < /proc/$p/environ | grep -c ^PATH=',
        attach("'$p'"),
        'kill -TERM $p; wait $p; echo $?',
      ];
      assert.equal((await sh(id, inside.join('\n'))).out, '1\ntraced\n143\n');
      const foreign = await pidOf(other);
      for (const act of [`kill -TERM ${foreign}`, `cat /proc/${foreign}/environ`, attach(String(foreign))])
        assert.match((await sh(id, act)).out, /Permission denied/, act);
      assert.equal((await rig.status(other)).state, 'CONTAINER_RUNNING');
    });

    it('lets containers do what they do everywhere', async () => {
      const id = await run('ordinary', { capabilities: { addCapabilities: ['NET_ADMIN'] } });
      const { out, exitCode } = await sh(
        id,
        [
          'set -e',
          'echo text > /new; chmod 600 /new; chown 1:1 /new; mv /new /newer; ln /newer /new; rm /newer',
          'mkfifo /fifo; mknod /null c 1 3; echo > /dev/shm/x; echo > /dev/null; echo out > /dev/stdout',
          'ip link set lo up; ping -c 1 -w 60 127.0.0.1 > /dev/null',
          'cat /proc/self/status /proc/meminfo /sys/class/net/lo/mtu > /dev/null',
          'echo 500 > /proc/self/oom_score_adj',
          'cat /new',
        ].join('\n'),
      );
      assert.deepEqual([out, exitCode], ['out\ntext\n', 0]);
    });

    it('lets the runtime stop containers, by the signal that they ask for first', async () => {
      const id = await rig.run(
        pod,
        'main',
        ['sh', '-c', 'trap "exit 7" TERM; while :; do sleep 1; done'],
        secured({}),
      );
      await rig.stop(id, 120);
      assert.equal((await rig.status(id)).exitCode, 7);
      const deaf = await rig.run(
        pod,
        'deaf',
        ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done'],
        secured({}),
      );
      await rig.stop(deaf, 1);
      assert.equal((await rig.status(deaf)).exitCode, 137);
    });

    it('lets a runtime stop containers that has a profile itself', async () => {
      profiles.load('berth-test-daemon', EVERYTHING, 'attach_disconnected', main);
      try {
        await rig.daemon.stop();
        await rig.daemon.start();
        assert.equal(apparmorLabel(rig.daemon.pid), 'berth-test-daemon (enforce)');
        const id = await run('main');
        assert.equal(await labelOf(id), DEFAULT);
        assert.equal((await sh(id, 'echo inside')).out, 'inside\n');
        await rig.stop(id);
        assert.equal((await rig.status(id)).exitCode, 137);
      } finally {
        profiles.unload('berth-test-daemon');
        await rig.daemon.stop();
        await rig.daemon.start();
      }
    });
  });

  describe('of which the default profile', () => {
    it('stays over a restart, is loaded again when it was unloaded, and enforced again when it was not', async () => {
      const running = await run('running');
      const pid = await pidOf(running);
      const made = await rig.create(pod, 'made', FOREVER, secured({}));
      await rig.daemon.stop();
      profiles.load('berth-default', EVERYTHING, 'complain');
      assert.equal(apparmorLabel(pid), 'berth-default (complain)');
      await rig.daemon.start();
      assert.equal(apparmorLabel(pid), DEFAULT);
      await rig.startContainer(made);
      assert.equal(await labelOf(made), DEFAULT);
      for (const id of [running, made]) {
        await rig.stop(id);
        await rig.remove(id);
      }
      profiles.unload('berth-default');
      assert.equal(await labelWith('later', {}), DEFAULT);
    });

    it('is the one that is loaded when apparmor_parser fails, and none when there is none', async () => {
      const asked = secured({ apparmor: { profileType: 'RuntimeDefault' } });
      await rig.daemon.stop();
      const parser = new FailingParser('the parser does not parse');
      try {
        await rig.daemon.start();
        const loaded = await run('loaded');
        assert.equal(await labelOf(loaded), DEFAULT);
        await rig.stop(loaded);
        profiles.unload('berth-default');
        await rig.daemon.stop();
        await rig.daemon.start();
        const lines = (await rig.daemon.log())
          .split('\n')
          .filter((line) => line.includes('the parser does not parse'));
        assert.match(lines[0] ?? '', /the default apparmor profile stays as it was loaded before/);
        assert.match(lines[1] ?? '', /containers run without an apparmor profile unless they name one/);
        assert.equal(await labelWith('bare', {}), 'unconfined');
        await assert.rejects(rig.create(pod, 'asked', FOREVER, asked), {
          code: status.FAILED_PRECONDITION,
          details: /no default apparmor profile is loaded on this node$/,
        });
        await rig.daemon.stop();
      } finally {
        parser[Symbol.dispose]();
      }
      await rig.daemon.start();
      assert.equal(await labelOf(await rig.run(pod, 'asked', FOREVER, asked)), DEFAULT);
    });
  });
});

function secured(security: LinuxContainerSecurityContext) {
  return { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' }, ...security } } } as const;
}
