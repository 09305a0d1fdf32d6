// Compiles src to dist/ and leaves dist/cni/<type>, an installable plugin executable for each built-in CNI plugin.
import { chmodSync, existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run } from './lib.mjs';

const dist = join(root, 'dist');

function compile() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  run(process.execPath, [
    tsc,
    '-p',
    'tsconfig.json',
    '--incremental',
    '--tsBuildInfoFile',
    join(dist, '.tsbuildinfo'),
  ]);
  chmodSync(join(dist, 'main.js'), 0o755);
}

async function linkPlugins() {
  const { pluginTypes } = await import(pathToFileURL(join(dist, 'network/plugins/types.js')).href);
  const directory = join(dist, 'cni');
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) {
    if (!pluginTypes.includes(name)) rmSync(join(directory, name));
  }
  for (const type of pluginTypes) {
    const link = join(directory, type);
    if (existsSync(link) && readlinkSync(link) === '../main.js') continue;
    rmSync(link, { force: true });
    symlinkSync('../main.js', link);
  }
}

/** Repeatable and incremental; a few seconds when nothing changed. */
export async function build() {
  mkdirSync(dist, { recursive: true });
  compile();
  await linkPlugins();
}
