// Runs the tests of test/vm on Debian's own kernel, which has what the machine's may lack: dummy, ipvlan, 802.1Q VLANs, VRFs and
// VLAN filtering of bridges, and SELinux; and those of containers and statistics, which find cgroup v2 there. The kernel is user-mode-linux, a
// process that sees this machine's files (hostfs) and has a network of its own. Nothing is installed into the kernel that runs here.
// Plugins are compared with those of Debian's later suite, since that of Debian 12 has no dummy and knows no VLAN trunks.
// It is booted twice: the second time its first process is systemd, and it has AppArmor instead of SELinux, for the tests of
// test/vm/systemd.
//   node .ci/test-vm.mjs [mocha arguments]
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { laterPlugins } from './later-plugins.mjs';
import { compileTests, isRoot, root } from './lib.mjs';

const KERNEL = '/usr/bin/linux.uml';
const MODULES = '/usr/lib/uml/modules';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MEMORY = '2048M';
const TIMEOUT_MS = 60 * 60_000;

// What the tests need of what is not built in; a process of that kernel cannot load modules on demand.
const wanted = [
  ...['overlay', 'bridge', '8021q', 'dummy', 'veth', 'ifb', 'macvlan', 'ipvlan', 'vrf', 'tun'],
  ...['nf_tables', 'nft_compat', 'nft_chain_nat', 'nft_masq', 'nft_nat', 'nft_meta_bridge'],
  ...['nft_fib_inet', 'nft_fib_ipv4', 'nft_fib_ipv6', 'nf_conntrack_netlink'],
  ...['xt_comment', 'xt_conntrack', 'xt_MASQUERADE', 'xt_mark', 'xt_addrtype', 'xt_multiport', 'xt_nat'],
  ...['sch_tbf', 'sch_ingress', 'cls_u32', 'act_mirred'],
];

const specs = [
  '.build/test/vm/*.spec.js',
  '.build/test/integration/oci/*.spec.js',
  '.build/test/integration/pod/stats/*.spec.js',
  '.build/test/integration/containers/lifecycle.spec.js',
];
const systemdSpecs = ['.build/test/vm/systemd/*.spec.js'];

if (!isRoot) throw new Error('the tests on Debian\'s kernel need root');
await bootstrap('vm');
compileTests();
const referencePlugins = laterPlugins();
const args = process.argv.slice(2);
const codes = [
  run('selinux', plainInit, [...args, ...specs]),
  run('apparmor', systemdInit, [...args, ...systemdSpecs]),
];
process.exitCode = Math.max(...codes);

/**
 * @param security of the security modules that exclude each other, the one that the kernel has.
 * @param init makes the script that the kernel starts.
 */
function run(security, init, mochaArgs) {
  const scratch = mkdtempSync(join(tmpdir(), 'berth-vm-'));
  try {
    writeFileSync(join(scratch, 'init'), init(scratch, mochaArgs), { mode: 0o755 });
    boot(security, scratch);
    const code = join(scratch, 'exit-code');
    return existsSync(code) ? Number(readFileSync(code, 'utf8')) : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function boot(security, scratch) {
  const kernel = [
    `mem=${MEMORY}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'rw',
    'quiet',
    `security=${security}`,
    `init=${join(scratch, 'init')}`,
    `uml_dir=${scratch}`,
    'con=null',
    'con0=null,fd:1',
  ];
  // Its memory is a file in TMPDIR.
  const env = { ...process.env, TMPDIR: scratch };
  const { error, signal } = spawnSync(KERNEL, kernel, {
    stdio: ['ignore', 'inherit', 'ignore'],
    env,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  if (error) throw new Error(`failed to run ${KERNEL}: ${error.message}`);
  if (signal) throw new Error(`${KERNEL} was ended by ${signal}`);
}

// Paths of the wanted modules, each after those that it needs.
function modulePaths() {
  const [release] = readdirSync(MODULES);
  const directory = join(MODULES, release);
  const needs = new Map(
    readFileSync(join(directory, 'modules.dep'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(':'))
      .map(([path, rest]) => [path, rest.trim().split(' ').filter(Boolean)]),
  );
  const nameOf = (path) => basename(path, '.ko').replaceAll('-', '_');
  const ordered = new Set();
  const visit = (path) => {
    if (ordered.has(path)) return;
    for (const each of needs.get(path) ?? []) visit(each);
    ordered.add(path);
  };
  for (const path of needs.keys()) if (wanted.includes(nameOf(path))) visit(path);
  return [...ordered].map((path) => join(directory, path));
}

// The first process of the kernel: what a machine has mounted, modules, the tests, off.
function plainInit(scratch, args) {
  return `#!/bin/bash
${prepared()}
${tests(scratch, args)}
`;
}

// The same with systemd as the first process, which runs the tests as a service. It has no units but the test's and the system bus, over
// which runc talks to it, and cannot write to the machine's files.
function systemdInit(scratch, args) {
  const units = join(scratch, 'units');
  const alone = '[Unit]\nDefaultDependencies=no\n';
  for (const kind of ['service', 'socket']) {
    mkdirSync(join(units, `${kind}.d`), { recursive: true });
    writeFileSync(join(units, `${kind}.d/alone.conf`), alone);
    symlinkSync(`/lib/systemd/system/dbus.${kind}`, join(units, `dbus.${kind}`));
  }
  const script = join(scratch, 'tests');
  writeFileSync(script, `#!/bin/bash\nexec > /dev/console 2>&1\n${tests(scratch, args)}\n`, { mode: 0o755 });
  writeFileSync(
    join(units, 'tests.service'),
    `[Unit]\nWants=dbus.service\nAfter=dbus.service\n[Service]\nExecStart=${script}\n`,
  );
  return `#!/bin/bash
${prepared()}
mount -t hostfs -o ${scratch} scratch ${scratch}
mount -t tmpfs opt /opt
mount -o remount,ro /
# No program of the machine adds units, and no container is what this looks like.
export SYSTEMD_UNIT_PATH=/run/systemd/system.control:/run/systemd/transient:${units}
export SYSTEMD_GENERATOR_PATH=/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/none container=
exec /lib/systemd/systemd --unit=tests.service --log-target=console --log-level=warning --show-status=no
`;
}

function prepared() {
  return `export PATH=${PATH}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock
mount -t tmpfs tmp /var/tmp
# Not in a /dev of the machine's own.
mountpoint -q /dev && ln -s /proc/self/fd /dev/fd && ln -s /proc/self/fd/0 /dev/stdin
for module in ${modulePaths().join(' ')}; do
    busybox insmod $module
done
ip link set lo up`;
}

function tests(scratch, args) {
  const mocha = [
    process.execPath,
    '--enable-source-maps',
    join(root, 'node_modules/mocha/bin/mocha.js'),
    '--config',
    '.ci/mocharc.json',
    '--reporter',
    'spec',
    // It is some twenty times slower.
    '--timeout',
    '600000',
    ...args,
  ];
  return `export PATH=${PATH} HOME=/root TMPDIR=/var/tmp TEST_PATIENCE_MS=300000 BERTH_REFERENCE_PLUGINS=${referencePlugins}
exit_code=1
off() { echo $exit_code > ${join(scratch, 'exit-code')}; sync; echo o > /proc/sysrq-trigger; sleep 60; }
trap off EXIT
cd ${root}
${mocha.map(quoted).join(' ')}
exit_code=$?`;
}

function quoted(word) {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
