// Go programs that the conformance tests run, built from pinned modules below test/conformance.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isRoot, root } from './lib.mjs';

/** Ends with a reason unless this is root on a machine with Go. */
export function requireGo() {
  if (!isRoot) throw new Error('the conformance tests need root');
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
  } catch {
    throw new Error('the conformance tests need Go (https://go.dev/dl)');
  }
}

/**
 * The directory of the programs that `builds` make: `go` arguments by program, `-o` and its file left out. They are built once
 * for each version of the module and of the toolchain, and of those arguments.
 */
export function goTools(name, builds) {
  const module = join(root, 'test/conformance', name);
  const cache = cacheDirectory(module, name, builds);
  if (existsSync(cache)) return cache;
  mkdirSync(join(cache, '..'), { recursive: true });
  const fresh = mkdtempSync(`${cache}.`);
  try {
    for (const [program, [verb, ...args]] of Object.entries(builds)) {
      console.log(`building ${program} (a few minutes the first time)`);
      const all = [verb, '-trimpath', '-o', join(fresh, program), ...args];
      execFileSync('go', all, { cwd: module, stdio: 'inherit' });
    }
    renameSync(fresh, cache);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return cache;
}

/** Where the source of a package's module is. */
export function goModule(name, path) {
  const cwd = join(root, 'test/conformance', name);
  return execFileSync('go', ['list', '-f', '{{.Dir}}', '-m', path], { cwd, encoding: 'utf8' }).trim();
}

function cacheDirectory(module, name, builds) {
  const base = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'berth');
  const hash = createHash('sha256').update(execFileSync('go', ['env', 'GOVERSION', 'GOARCH']));
  hash.update(JSON.stringify(builds));
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  return join(base, `${name}-${hash.digest('hex').slice(0, 12)}`);
}
