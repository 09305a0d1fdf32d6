// What the scripts of this folder share. Node's own modules only: node_modules may not exist yet.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

export const isRoot = process.getuid() === 0;

/** Where the scripts keep what takes long to get. */
export function cacheRoot() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'berth');
}

/** Runs a command in the repository and ends this process with its exit code if it fails. */
export function run(command, args, { env = {}, quiet = false } = {}) {
  const code = status(command, args, { env, quiet });
  if (code !== 0) {
    console.error(`failed to run "${[command, ...args].join(' ')}": exit code ${code}`);
    process.exit(code);
  }
}

/** The exit code of a command run in the repository. */
export function status(command, args, { env = {}, quiet = false } = {}) {
  const stdio = ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'];
  const result = spawnSync(command, args, { cwd: root, stdio, env: { ...process.env, ...env } });
  if (result.error) throw new Error(`failed to start "${command}": ${result.error.message}`);
  return result.status ?? 128;
}

/** Compiles src and test into .build, where tests and benchmarks run. */
export function compileTests() {
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'test/tsconfig.json']);
  chmodSync(join(root, '.build/src/main.js'), 0o755);
}

/**
 * Runs a Node script with a temporary directory of its own and, as root, in network and mount namespaces of its own with
 * loopback up, so that the machine's network is neither seen nor touched. Returns the exit code.
 */
export function runIsolated(args, env = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'berth-'));
  const isolated = { ...env, TMPDIR: scratch, BERTH_PRIVATE_NETWORK: isRoot ? '1' : '' };
  const node = [process.execPath, ...args];
  const inside = [process.execPath, join(root, '.ci/isolated.mjs'), ...node];
  try {
    return isRoot
      ? status('unshare', ['--net', '--mount', ...inside], { env: isolated })
      : status(node[0], node.slice(1), { env: isolated });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Runs mocha over compiled spec files, with the leak check around them, and returns its exit code. */
export function mocha(globs, more = [], env = {}) {
  const bin = join(root, 'node_modules/mocha/bin/mocha.js');
  const config = ['--config', '.ci/mocharc.json', '--require', '.build/test/hooks.js'];
  return runIsolated([bin, ...config, ...more, ...globs.map((glob) => join('.build/test', glob))], env);
}
