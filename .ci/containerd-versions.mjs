// Runs the tests of the containerd client and of containers against newer containerds than Debian 12 has, with the runc that goes
// with each: those of Debian's later suites, unpacked beside the system. Needs root and a Debian mirror.
//   node .ci/containerd-versions.mjs [mocha arguments]
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { cacheRoot, compileTests, isRoot, mocha } from './lib.mjs';

const versions = [
  { suite: 'trixie', containerd: / v?1\.7\./ },
  { suite: 'sid', containerd: / v?2\.[1-9]/ },
];
// runc is linked with libraries that are newer than the system's, and gets them at its side.
const packages = ['containerd', 'runc', 'libc6', 'libseccomp2'];
const libraries = ['libc.so.6', 'libseccomp.so.2'];
const programs = ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'];
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

const specs = ['integration/containerd/**/*.spec.js', 'integration/containers/**/*.spec.js'];

function output(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options });
}

/** The mirror that this machine takes its own suite from; undefined while apt has no lists. */
function findMirror() {
  const format = '$(REPO_URI) $(ORIGIN) $(LABEL)';
  const lines = output('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).split('\n');
  const own = lines
    .map((line) => line.split(' '))
    .find(([, origin, label]) => origin === 'Debian' && label === 'Debian');
  return own?.[0];
}

function mirror() {
  const known = findMirror();
  if (known !== undefined) return known;
  output('apt-get', ['-qq', 'update']);
  return findMirror() ?? fail('this machine has no Debian mirror among its package sources');
}

function fail(message) {
  throw new Error(message);
}

/** apt-get on lists of another suite, with a state of its own; nothing of the system's is changed. */
function apt(directory, suite) {
  const at = (name) => join(directory, 'apt', name);
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('sources.list'), `deb [signed-by=${keyring}] ${mirror()} ${suite} main\n`);
  const options = {
    'Dir::Etc::sourcelist': at('sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': at('lists'),
    'Dir::Cache': at('cache'),
    // Files of root only, in a directory of root only.
    'APT::Sandbox::User': 'root',
  };
  const flags = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  return (...args) => output('apt-get', ['-qq', ...flags, ...args], { cwd: directory });
}

/** Brings a suite's containerd and what it runs with into a directory, which stays where it is: `bin` is for PATH. */
function fetch(directory, suite) {
  const later = apt(directory, suite);
  later('update');
  later('download', ...packages);
  output('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', 'patchelf'], { cwd: directory });
  const tree = join(directory, 'tree');
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.deb')))
    output('dpkg-deb', ['--extract', name, tree], { cwd: directory });
  const files = readdirSync(tree, { recursive: true })
    .map((path) => join(tree, path))
    .filter((path) => statSync(path).isFile());
  const find = (matches) => {
    const found = files.find((path) => matches(basename(path)));
    return found ?? fail(`a program or library is missing in the packages of ${suite}`);
  };
  const named = (name) => find((other) => other === name);
  const copy = (path, kind) => {
    const target = join(directory, kind, basename(path));
    mkdirSync(join(directory, kind), { recursive: true });
    copyFileSync(path, target);
    return target;
  };
  const loader = copy(find((name) => name.startsWith('ld-linux')), 'lib');
  for (const name of libraries) copy(named(name), 'lib');
  const copies = Object.fromEntries(programs.map((name) => [name, copy(named(name), 'bin')]));
  const rpath = ['--set-rpath', join(directory, 'lib')];
  output(named('patchelf'), ['--set-interpreter', loader, ...rpath, copies.runc]);
  for (const name of readdirSync(directory).filter((other) => !['bin', 'lib'].includes(other)))
    rmSync(join(directory, name), { recursive: true });
}

/** The directory of a suite's programs, fetched once; the last file that is written says that it is whole. */
function programsOf({ suite, containerd }) {
  const directory = join(cacheRoot(), `containerd-${suite}`);
  const whole = join(directory, 'whole');
  if (!existsSync(whole)) {
    console.log(`fetching containerd and runc of Debian ${suite}`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    fetch(directory, suite);
    writeFileSync(whole, '');
  }
  const bin = join(directory, 'bin');
  const [containerdVersion, runcVersion] = ['containerd', 'runc'].map(
    (name) => output(join(bin, name), ['--version']).split('\n')[0],
  );
  if (!containerd.test(containerdVersion))
    fail(`Debian ${suite} has "${containerdVersion}", wanted ${containerd}: remove ${directory} to fetch it again`);
  return { bin, title: `${containerdVersion}, ${runcVersion}` };
}

if (!isRoot) fail('the tests of containerd need root');
await bootstrap('test');
compileTests();
for (const version of versions) {
  const { bin, title } = programsOf(version);
  console.log(`\n${title}`);
  const code = mocha(specs, process.argv.slice(2), { PATH: `${bin}:${process.env.PATH}` });
  if (code !== 0) process.exit(code);
}
