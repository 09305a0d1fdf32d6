// Runs crictl and critest, built from the pinned module in test/conformance/tools, against a daemon of this clone. The images
// that critest wants are made here, too. Needs root, Go and a Debian mirror. node .ci/conformance.mjs [mocha arguments]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { compileTests, isRoot, mocha, root } from './lib.mjs';

const module = join(root, 'test/conformance/tools');

function go(args) {
  execFileSync('go', args, { cwd: module, stdio: 'inherit' });
}

function cacheDirectory() {
  const base = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'berth');
  const hash = createHash('sha256').update(execFileSync('go', ['env', 'GOVERSION', 'GOARCH']));
  for (const name of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, name)));
  return join(base, `conformance-${hash.digest('hex').slice(0, 12)}`);
}

/** Builds crictl and critest once per version of the module and the toolchain; returns their directory. */
function buildTools() {
  const cache = cacheDirectory();
  if (existsSync(cache)) return cache;
  mkdirSync(join(cache, '..'), { recursive: true });
  const fresh = mkdtempSync(`${cache}.`);
  try {
    console.log('building crictl and critest (a few minutes the first time)');
    go(['build', '-trimpath', '-o', join(fresh, 'crictl'), 'sigs.k8s.io/cri-tools/cmd/crictl']);
    go(['test', '-c', '-trimpath', '-o', join(fresh, 'critest'), 'sigs.k8s.io/cri-tools/cmd/critest']);
    renameSync(fresh, cache);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return cache;
}

function hasGo() {
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

if (!isRoot) throw new Error('the conformance tests need root');
if (!hasGo()) throw new Error('the conformance tests need Go (https://go.dev/dl)');
await bootstrap('conformance');
compileTests();
const tools = buildTools();
// Here, for in the network namespace of the tests there is no mirror to fetch from.
const { buildPrograms } = await import('../.build/test/conformance/images/programs.js');
await buildPrograms();
const api = execFileSync('go', ['list', '-f', '{{.Dir}}', '-m', 'k8s.io/cri-api'], {
  cwd: module,
  encoding: 'utf8',
}).trim();
process.exitCode = mocha(['conformance/**/*.spec.js'], process.argv.slice(2), {
  CRICTL: join(tools, 'crictl'),
  CRITEST: join(tools, 'critest'),
  CRI_API_PROTO: join(api, 'pkg/apis/runtime/v1/api.proto'),
});
