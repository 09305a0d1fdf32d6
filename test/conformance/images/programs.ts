import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { availableParallelism, homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../../src/lib/package-root.ts';

/** What the images are made of, static all of them. */
export interface Programs {
  readonly busybox: Buffer;
  readonly applets: readonly string[];
  readonly nginx: Buffer;
  readonly nnp: Buffer;
}

const sources = join(packageRoot(), 'test/conformance/images');

/** Which busybox: all of its applets but one that does not build here, and a shell that really executes /bin/ls. */
const BUSYBOX = {
  on: ['STATIC'],
  off: ['TC', 'FEATURE_SH_STANDALONE', 'FEATURE_PREFER_APPLETS', 'FEATURE_SH_NOFORK'],
};

const reproducible = { KCONFIG_NOTIMESTAMP: '1', SOURCE_DATE_EPOCH: '0' };

/**
 * Compiles the programs, once for each version of what they are made from, and keeps them below XDG_CACHE_HOME. busybox comes
 * from Debian's source package: its binary packages lack applets that critest runs.
 */
export async function buildPrograms(): Promise<Programs> {
  const cache = await cacheDirectory();
  if (!existsSync(cache)) await build(cache);
  const read = (name: string): Promise<Buffer> => readFile(join(cache, name));
  const { stdout } = await execa(join(cache, 'busybox'), ['--list']);
  return {
    busybox: await read('busybox'),
    applets: stdout.split('\n'),
    nginx: await read('nginx'),
    nnp: await read('nnp'),
  };
}

async function cacheDirectory(): Promise<string> {
  const base = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'berth');
  const hash = createHash('sha256').update(JSON.stringify([BUSYBOX, process.arch]));
  for (const name of ['nginx.c', 'nnp.c']) hash.update(await readFile(join(sources, name)));
  return join(base, `critest-programs-${hash.digest('hex').slice(0, 12)}`);
}

async function build(cache: string): Promise<void> {
  console.log("compiling what critest's images are made of (a minute the first time)");
  await mkdir(dirname(cache), { recursive: true });
  const fresh = await mkdtemp(`${cache}.`);
  const scratch = join(fresh, 'scratch');
  try {
    for (const name of ['nginx', 'nnp'])
      await execa('gcc', ['-O2', '-s', '-static', '-o', join(fresh, name), join(sources, `${name}.c`)]);
    await mkdir(scratch);
    await buildBusybox(scratch, join(fresh, 'busybox'));
    await rm(scratch, { recursive: true });
    await rename(fresh, cache);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function buildBusybox(scratch: string, to: string): Promise<void> {
  const tree = join(scratch, 'busybox');
  await execa('dpkg-source', ['--no-check', '--extract', await fetchSource(scratch, 'busybox'), tree]);
  const make = (...args: string[]): unknown =>
    execa('make', args, { cwd: tree, env: reproducible, input: '\n'.repeat(2_000) });
  await make('defconfig');
  const config = join(tree, '.config');
  await writeFile(config, configured(await readFile(config, 'utf8')));
  await make('oldconfig');
  await make(`-j${availableParallelism()}`, 'busybox');
  await rename(join(tree, 'busybox'), to);
}

/** kconfig's file with our switches; oldconfig asks for what they entail, and takes its defaults. */
function configured(defaults: string): string {
  const switches = [...BUSYBOX.on, ...BUSYBOX.off];
  const kept = defaults
    .split('\n')
    .filter((line) => !switches.includes(/CONFIG_(\w+)/.exec(line)?.[1] ?? ''));
  const on = BUSYBOX.on.map((name) => `CONFIG_${name}=y`);
  const off = BUSYBOX.off.map((name) => `# CONFIG_${name} is not set`);
  return [...kept, ...on, ...off, ''].join('\n');
}

/** Fetches a source package from the machine's own Debian mirrors, with package lists of its own; returns its .dsc file. */
async function fetchSource(scratch: string, name: string): Promise<string> {
  for (const directory of ['sources', 'lists/partial', 'archives/partial'])
    await mkdir(join(scratch, directory), { recursive: true });
  await writeSourceEntries(join(scratch, 'sources'));
  const options = [
    'APT::Sandbox::User=root',
    'Dir::Etc::SourceList=/dev/null',
    `Dir::Etc::SourceParts=${join(scratch, 'sources')}`,
    `Dir::State::Lists=${join(scratch, 'lists')}`,
    `Dir::Cache=${join(scratch, 'archives')}`,
  ].flatMap((option) => ['-o', option]);
  await execa('apt-get', ['-qq', ...options, 'update']);
  await execa('apt-get', ['-qq', ...options, 'source', '--download-only', name], { cwd: scratch });
  const description = (await readdir(scratch)).find((file) => file.endsWith('.dsc'));
  if (description === undefined) throw new Error(`apt-get fetched no source of ${name}`);
  return join(scratch, description);
}

/** The machine's entries for Debian's own archives, for sources in place of binaries; see sources.list(5) for both formats. */
async function writeSourceEntries(directory: string): Promise<void> {
  const parts = '/etc/apt/sources.list.d';
  const names = (await readdir(parts)).map((name) => join(parts, name));
  for (const path of ['/etc/apt/sources.list', ...names].filter((name) => existsSync(name))) {
    const text = await readFile(path, 'utf8');
    const entries = path.endsWith('.sources')
      ? text
          .split(/\n\s*\n/)
          .filter((stanza) => DEBIAN.test(stanza))
          .map((stanza) => `${stanza.replace(/^Types:.*$/m, 'Types: deb-src')}\n\n`)
      : text
          .split('\n')
          .filter((line) => line.startsWith('deb ') && DEBIAN.test(line))
          .map((line) => `${line.replace(/^deb /, 'deb-src ')}\n`);
    if (entries.length > 0) await writeFile(join(directory, basename(path)), entries.join(''));
  }
}

/** An archive of Debian's own, of any mirror. */
const DEBIAN = /:\/\/\S+\/debian(-security)?\/?(\s|$)/m;
