// Brings a fresh clone to where its scripts run: Debian packages, node_modules, dist/. Does nothing that is done already.
//   node .ci/bootstrap.mjs [build|quickstart|test|vm|conformance|bench]
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { isRoot, root, run } from './lib.mjs';

// Debian package → a program that says it is there. A bare name is looked for in PATH and the sbin directories.
const programs = {
  iproute2: 'ip',
  'iputils-ping': 'ping',
  nftables: 'nft',
  iptables: 'iptables',
  conntrack: 'conntrack',
  catatonit: 'catatonit',
  containerd: 'containerd',
  runc: 'runc',
  // Its program has the name that the dynamic one has, too.
  'busybox-static': '/usr/share/doc/busybox-static',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iperf3: 'iperf3',
  'dbus-daemon': 'dbus-daemon',
  dbus: '/lib/systemd/system/dbus.service',
  systemd: '/lib/systemd/systemd',
  // Debian's kernel as a process.
  'user-mode-linux': '/usr/bin/linux.uml',
  // The compiler of its SELinux policy.
  secilc: 'secilc',
  apparmor: 'apparmor_parser',
  bsdutils: 'script',
  // What the images of critest are made with.
  'dpkg-dev': 'dpkg-source',
  gcc: 'gcc',
  'libc6-dev': '/usr/include/stdio.h',
  make: 'make',
};

const network = ['iproute2', 'iputils-ping', 'nftables', 'iptables', 'conntrack'];
const engine = ['catatonit', 'containerd', 'runc'];

// What each purpose needs beside Node.
const purposes = {
  build: [],
  quickstart: [...network, ...engine, 'busybox-static'],
  test: [...network, ...engine, 'busybox-static', 'containernetworking-plugins', 'dbus-daemon'],
  vm: [
    ...network,
    ...engine,
    ...['apparmor', 'busybox-static', 'containernetworking-plugins', 'dbus', 'secilc', 'systemd'],
    'user-mode-linux',
  ],
  conformance: [...network, ...engine, 'bsdutils', 'busybox-static', 'dpkg-dev', 'gcc', 'libc6-dev', 'make'],
  bench: [...network, ...engine, 'busybox-static', 'containernetworking-plugins', 'iperf3'],
};

function isPresent(program) {
  if (program.startsWith('/')) return existsSync(program);
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin'];
  return directories.some((directory) => existsSync(join(directory, program)));
}

function isDebian() {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

function installPackages(packages) {
  const missing = packages.filter((name) => !isPresent(programs[name]));
  if (missing.length === 0) return;
  const list = missing.join(' ');
  if (!isRoot)
    fail(
      `these Debian packages are missing: ${list}\nrun as root: apt-get install --no-install-recommends ${list}`,
    );
  if (!isDebian())
    fail(
      `these programs are missing: ${missing.map((name) => programs[name]).join(' ')} (Debian packages: ${list})`,
    );
  console.log(`installing Debian packages: ${list}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['-qq', 'update'], { env });
  run('apt-get', ['-qq', '-y', '--no-install-recommends', 'install', ...missing], { env, quiet: true });
}

function installModules() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log('installing node_modules (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Makes everything ready for a purpose: Debian packages, node_modules, dist/. Says what it changes. */
export async function bootstrap(purpose) {
  const [major] = process.versions.node.split('.');
  if (Number(major) < 20) fail(`Node 20 or newer is needed, this is ${process.version}`);
  installPackages(
    purposes[purpose] ?? fail(`unknown purpose "${purpose}", one of: ${Object.keys(purposes).join(', ')}`),
  );
  installModules();
  await build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bootstrap(process.argv[2] ?? 'build');
