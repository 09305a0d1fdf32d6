// Runs the tests of the containerd client and of containers against newer containerds than Debian 12 has, with the runc that goes
// with each, and once with a CRIU (Debian 12's knows no kernel from 6.13 on): those of Debian's later suites, unpacked beside the system.
// Needs root and a Debian mirror.
//   node .ci/containerd-versions.mjs [mocha arguments]
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { apt, cached, fail, output, unpack } from './later-debian.mjs';
import { compileTests, isRoot, mocha } from './lib.mjs';

const base = ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc'];
const versions = [
  { suite: 'trixie', containerd: / v?1\.7\./, programs: [...base, 'criu'] },
  { suite: 'sid', containerd: / v?2\.[1-9]/, programs: base },
];
// Linked with libraries that are newer than the system's, which they get at their side.
const linked = ['runc', 'criu'];

const specs = ['integration/containerd/**/*.spec.js', 'integration/containers/**/*.spec.js'];

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
  unpack(directory, tree);
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

/** The directory of a suite's programs. */
function programsOf(version) {
  const { suite, containerd, programs } = version;
  const files = programs.map((name) => join('bin', name));
  const directory = cached(`containerd-${suite}`, files, (empty) => {
    console.log(`fetching ${programs.join(', ')} of Debian ${suite}`);
    fetch(empty, version);
  });
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
  const code = mocha(specs, process.argv.slice(2), {
    PATH: `${bin}:${process.env.PATH}`,
    BERTH_REQUIRE_CRIU: version.programs.includes('criu') ? '1' : '',
  });
  if (code !== 0) process.exit(code);
}
