// Runs the tests of test/vm on Debian's own kernel, which has what the machine's may lack: dummy, ipvlan, 802.1Q VLANs, VRFs and
// VLAN filtering of bridges; and those of containers and statistics, which find cgroup v2 there. The kernel is user-mode-linux, a
// process that sees this machine's files (hostfs) and has a network of its own. Nothing is installed into the kernel that runs here.
//   node .ci/test-vm.mjs [mocha arguments]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { compileTests, isRoot, root } from './lib.mjs';

const KERNEL = '/usr/bin/linux.uml';
const MODULES = '/usr/lib/uml/modules';
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
  '.build/test/vm/**/*.spec.js',
  '.build/test/integration/oci/*.spec.js',
  '.build/test/integration/pod/stats/*.spec.js',
  '.build/test/integration/containers/lifecycle.spec.js',
];

if (!isRoot) throw new Error('the tests on Debian\'s kernel need root');
await bootstrap('vm');
compileTests();
process.exitCode = run(process.argv.slice(2));

function run(args) {
  const scratch = mkdtempSync(join(tmpdir(), 'berth-vm-'));
  try {
    writeFileSync(join(scratch, 'init'), script(scratch, args), { mode: 0o755 });
    boot(scratch);
    const code = join(scratch, 'exit-code');
    return existsSync(code) ? Number(readFileSync(code, 'utf8')) : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function boot(scratch) {
  const kernel = [
    `mem=${MEMORY}`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'rw',
    'quiet',
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
function script(scratch, args) {
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
    ...specs,
  ];
  return `#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exit_code=1
off() { echo $exit_code > ${join(scratch, 'exit-code')}; sync; echo o > /proc/sysrq-trigger; sleep 60; }
trap off EXIT
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock
mount -t tmpfs tmp /var/tmp
export TMPDIR=/var/tmp
for module in ${modulePaths().join(' ')}; do
    busybox insmod $module
done
cd ${root}
ip link set lo up
${mocha.map(quoted).join(' ')}
exit_code=$?
`;
}

function quoted(word) {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
