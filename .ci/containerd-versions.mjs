// Runs the tests of the containerd client and of containers against newer containerds than Debian 12 has, with the runc that goes
// with each, and once with a CRIU (Debian 12's knows no kernel from 6.13 on): those of Debian's later suites, unpacked beside the system.
// Needs root and a Debian mirror.
//   node .ci/containerd-versions.mjs [mocha arguments]
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { cacheRoot, compileTests, isRoot, mocha } from './lib.mjs';

const base = ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'];
const versions = [
  { suite: 'trixie', containerd: / v?1\.7\./, programs: [...base, 'criu'] },
  { suite: 'sid', containerd: / v?2\.[1-9]/, programs: base },
];
// Linked with libraries that are newer than the system's, which they get at their side.
const linked = ['runc', 'criu'];
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

/** apt on lists of another suite, with a state of its own; nothing of the system's is changed. */
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
  return (command, ...args) => output(command, ['-qq', ...flags, ...args], { cwd: directory });
}

/** Brings a suite's containerd and what it runs with into a directory, which stays where it is: `bin` is for PATH. */
function fetch(directory, { suite, programs }) {
  const later = apt(directory, suite);
  const patched = linked.filter((name) => programs.includes(name));
  later('apt-get', 'update');
  const only = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`);
  const depends = later('apt-cache', 'depends', '--recurse', ...only, ...patched).split('\n');
  later('apt-get', 'download', 'containerd', ...patched, ...depends.filter((line) => /^lib/.test(line)));
  output('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', 'patchelf'], { cwd: directory });
  const tree = join(directory, 'tree');
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.deb')))
    output('dpkg-deb', ['--extract', name, tree], { cwd: directory });
  const files = readdirSync(tree, { recursive: true })
    .map((path) => join(tree, path))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
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
  for (const path of files.filter((file) => /\/lib[^/]+\.so\.\d+$/.test(file))) copy(path, 'lib');
  const copies = Object.fromEntries(programs.map((name) => [name, copy(named(name), 'bin')]));
  // An RPATH: libraries find their own libraries there, too.
  const rpath = ['--force-rpath', '--set-rpath', join(directory, 'lib')];
  for (const name of patched)
    output(named('patchelf'), ['--set-interpreter', loader, ...rpath, copies[name]]);
  for (const name of readdirSync(directory).filter((other) => !['bin', 'lib'].includes(other)))
    rmSync(join(directory, name), { recursive: true });
}

/** The directory of a suite's programs, fetched once; the last file that is written says that it is whole. */
function programsOf(version) {
  const { suite, containerd, programs } = version;
  const directory = join(cacheRoot(), `containerd-${suite}`);
  const whole = join(directory, 'whole');
  const bin = join(directory, 'bin');
  if (![whole, ...programs.map((name) => join(bin, name))].every((path) => existsSync(path))) {
    console.log(`fetching ${programs.join(', ')} of Debian ${suite}`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    fetch(directory, version);
    writeFileSync(whole, '');
  }
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
