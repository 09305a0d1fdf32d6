// Writes src/gen from proto/. With --check nothing is written: a difference is an error.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Each brings what it imports.
const protoFiles = ['runtime/v1/api.proto', 'containerd/containerd.proto'];

/** What shapes the generated types; the same as loaderOptions in src/lib/proto.ts (a test compares them). */
export const shape = ['--longs=String', '--enums=String', '--defaults', '--oneofs'];

function generate(outDir) {
  const generator = join(root, 'node_modules/.bin/proto-loader-gen-types');
  const flags = [
    '--grpcLib=@grpc/grpc-js',
    '--includeDirs=proto',
    '--importFileExtension=.ts',
    `--outDir=${outDir}`,
  ];
  execFileSync(generator, [...shape, ...flags, ...protoFiles], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function contents(dir) {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return new Map(paths.map((path) => [path.slice(dir.length + 1), readFileSync(path, 'utf8')]));
}

function check() {
  const fresh = mkdtempSync(join(tmpdir(), 'berth-gen-'));
  try {
    generate(fresh);
    const want = contents(fresh);
    const have = contents(join(root, 'src/gen'));
    const names = new Set([...want.keys(), ...have.keys()]);
    return [...names].filter((name) => want.get(name) !== have.get(name)).sort();
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--check')) {
    const differing = check();
    for (const name of differing) console.error(`src/gen/${name} is not what proto/ gives`);
    if (differing.length > 0) {
      console.error('run: node .ci/gen-proto.mjs');
      process.exitCode = 1;
    }
  } else {
    rmSync(join(root, 'src/gen'), { recursive: true, force: true });
    generate(join(root, 'src/gen'));
  }
}
