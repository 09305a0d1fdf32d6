// Packages of Debian's later suites, unpacked beside the system: nothing of the system's is changed. Needs root and a Debian mirror.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheRoot } from './lib.mjs';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** What a command prints. */
export function output(command, args, options = {}) {
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

export function fail(message) {
  throw new Error(message);
}

/** apt on lists of another suite, with a state of its own; nothing of the system's is changed. */
export function apt(directory, suite) {
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

/** Unpacks every package that was downloaded into a directory. */
export function unpack(directory, tree) {
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.deb')))
    output('dpkg-deb', ['--extract', name, tree], { cwd: directory });
}

/**
 * The directory of that name in the cache, where it stays: filled once by `fetch`, and again when one of these files of it is missing.
 * The last file that is written says that it is whole.
 */
export function cached(name, files, fetch) {
  const directory = join(cacheRoot(), name);
  const whole = join(directory, 'whole');
  if (![whole, ...files.map((file) => join(directory, file))].every((path) => existsSync(path))) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    fetch(directory);
    writeFileSync(whole, '');
  }
  return directory;
}
