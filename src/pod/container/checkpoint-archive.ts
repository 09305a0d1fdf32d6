/**
 * Archives of checkpoints, laid out as containerd, CRI-O and Berth write them: config.dump (what it is a checkpoint of), spec.dump (its
 * runtime spec), checkpoint/ (the images of CRIU), rootfs-diff.tar (what it had written, a layer on its image), deleted.files
 * (CRI-O's list of what it had removed), container.log (its log). Whoever wrote one may have meant harm.
 */
import { readFile, stat, statfs } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { z } from 'zod';
import { BerthError, isErrno, messageOf, wrap } from '../../lib/errors.ts';

export const IMAGES = 'checkpoint';
export const ROOTFS_DIFF = 'rootfs-diff.tar';
export const LOG = 'container.log';
const CONFIG = 'config.dump';
const SPEC = 'spec.dump';
const DELETED = 'deleted.files';
/** All that is taken from one, and what is read at once. */
const PARTS = [CONFIG, SPEC, IMAGES, ROOTFS_DIFF, DELETED, LOG];
const DOCUMENTS = [CONFIG, SPEC, DELETED];
const DOCUMENT_MAX = 8 * 1024 * 1024;
/** Each removed file, and each directory above it, is one on this node's disk for a while. */
const DELETED_MAX = 200_000;
/** CRIU makes some files for each process, and an archive has little else. */
const LISTING_MAX = 16 * 1024 * 1024;

/** One entry of an archive. */
export interface Member {
  /** As ls(1) shows it: `-`, `d`, `l`… */
  readonly kind: string;
  readonly size: number;
  /** As the archive has it. */
  readonly name: string;
}

/** What a checkpoint says about itself. */
export interface CheckpointFacts {
  /** RFC 3339; '' when it does not say. */
  readonly checkpointedAt: string;
  /** Names and ids of the image that its root file system was made from, the best first. */
  readonly images: readonly string[];
  readonly terminal: boolean;
  readonly userNamespace: boolean;
  /** Where it had mounts from outside. */
  readonly mounts: readonly string[];
  /** What it had removed of the image's files. */
  readonly deleted: readonly string[];
}

/**
 * Unpacks an archive, compressed or not, into an empty directory. Throws INVALID_ARGUMENT that says what is wrong with it, RESOURCE_EXHAUSTED when
 * it does not fit on the disk.
 */
export async function unpackCheckpoint(file: string, directory: string, signal: AbortSignal): Promise<void> {
  if (!(await stat(file)).isFile()) throw new BerthError('INVALID_ARGUMENT', 'it is not a file');
  const listing = ['--list', '--verbose', '--numeric-owner', '--quoting-style=escape'];
  const members = membersOf(await tar([...listing, '--file', file], signal));
  const { names, bytes } = checkMembers(members);
  const { bavail, bsize } = await statfs(directory);
  if (bytes > bavail * bsize)
    throw new BerthError('RESOURCE_EXHAUSTED', `it has ${bytes} bytes, the disk room for ${bavail * bsize}`);
  const as = ['--no-same-owner', '--no-same-permissions'];
  await tar(['--extract', ...as, '--directory', directory, '--file', file, '--', ...names], signal);
}

/** Mode, owner, size or device, date, time and name. */
const LINE = /^(\S)\S* \S+ +(\d+)\S* \S+ \S+ (.+)$/;
const LINK_TARGET = / (->|link to) .*$/;

/** What `tar --list --verbose --numeric-owner` has printed. */
export function membersOf(listing: string): Member[] {
  return listing
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, kind, size, name] = LINE.exec(line) ?? [];
      if (kind === undefined || name === undefined) throw bad(`tar lists ${JSON.stringify(line)} in it`);
      return { kind, size: Number(size), name: name.replace(LINK_TARGET, '') };
    });
}

/** The names to take from an archive, and how large that is. Throws INVALID_ARGUMENT for what is no checkpoint, or could do harm. */
export function checkMembers(members: readonly Member[]): { names: string[]; bytes: number } {
  const names = new Set<string>();
  const found = new Set<string>();
  let bytes = 0;
  for (const { kind, size, name } of members) {
    if (name.startsWith('/') || name.split('/').includes('..'))
      throw bad(`${JSON.stringify(name)} leads out of it`);
    const path = posix.normalize(name).replace(/\/$/, '');
    const [part = '', ...below] = path.split('/');
    if (!PARTS.includes(part)) continue;
    const isDirectory = kind === 'd';
    if (kind !== '-' && !isDirectory) throw bad(`${JSON.stringify(name)} is neither file nor directory`);
    if ((part === IMAGES) !== (isDirectory || below.length > 0))
      throw bad(`${JSON.stringify(name)} is not what it should be`);
    if (DOCUMENTS.includes(part) && size > DOCUMENT_MAX)
      throw bad(`${part} has ${size} bytes, over ${DOCUMENT_MAX}`);
    bytes += size;
    found.add(path);
    // What is below a directory comes with it.
    names.add(name.slice(0, name.indexOf(part) + part.length));
  }
  for (const needed of [CONFIG, SPEC, `${IMAGES}/inventory.img`])
    if (!found.has(needed)) throw bad(`it is no checkpoint of a container: it has no ${needed}`);
  return { names: [...names], bytes };
}

/** Reads what an unpacked archive says. Throws INVALID_ARGUMENT that names the file. */
export async function readCheckpoint(directory: string): Promise<CheckpointFacts> {
  const config = await document(directory, CONFIG, configSchema);
  const { process, mounts, linux } = await document(directory, SPEC, specSchema);
  const { rootfsImageRef, rootfsImageName, rootfsImage, checkpointedTime } = config;
  const images = [rootfsImageRef, rootfsImageName, rootfsImage].filter((name) => name !== '');
  if (images.length === 0) throw bad(`${CONFIG} names no image`);
  return {
    checkpointedAt: checkpointedTime,
    images: [...new Set(images)],
    terminal: process.terminal,
    userNamespace: linux.namespaces.some(({ type }) => type === 'user'),
    mounts: mounts.filter(isBind).map(({ destination }) => posix.resolve('/', destination)),
    deleted: await readDeleted(directory),
  };
}

async function readDeleted(directory: string): Promise<string[]> {
  const deleted = await document(directory, DELETED, deletedSchema, '[]');
  const files = deleted.reduce((sum, path) => sum + path.split('/').length, 0);
  if (files > DELETED_MAX) throw bad(`${DELETED} has ${files} files and directories, over ${DELETED_MAX}`);
  return deleted;
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const list = <T extends z.ZodType>(of: T) =>
  z
    .array(of)
    .nullish()
    .transform((value) => value ?? []);
const configSchema = z.object({
  rootfsImageRef: text,
  rootfsImageName: text,
  rootfsImage: text,
  checkpointedTime: text,
});
const specSchema = z.object({
  process: z.object({ terminal: z.boolean().default(false) }),
  mounts: list(z.object({ destination: z.string(), type: text, options: list(z.string()) })),
  linux: z.object({ namespaces: list(z.object({ type: z.string() })) }),
});
const deletedSchema = list(z.string());

function isBind({ type, options }: { type: string; options: readonly string[] }): boolean {
  return type === 'bind' || options.includes('bind') || options.includes('rbind');
}

/** @param absent what counts as its content when there is no such file. */
async function document<T>(
  directory: string,
  name: string,
  schema: z.ZodType<T>,
  absent?: string,
): Promise<T> {
  let content: string;
  try {
    content = await readFile(join(directory, name), 'utf8');
  } catch (error) {
    if (absent === undefined || !isErrno(error, 'ENOENT')) throw error;
    content = absent;
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw bad(`${name} is no JSON: ${messageOf(error)}`);
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  throw bad(`${name}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function bad(problem: string): BerthError {
  return new BerthError('INVALID_ARGUMENT', problem);
}

/** A process of its own, that reads and unpacks; what it prints. */
export async function tar(args: readonly string[], signal: AbortSignal, input = ''): Promise<string> {
  const { execa } = await import('execa');
  const env = { LC_ALL: 'C' };
  const result = await execa('tar', args, {
    cancelSignal: signal,
    env,
    input,
    maxBuffer: LISTING_MAX,
    reject: false,
  });
  if (!result.failed) return result.stdout;
  signal.throwIfAborted();
  if (result.isMaxBuffer) throw bad('it has too many files');
  if (result.exitCode === undefined) throw wrap('failed to run tar', result);
  const said = result.stderr.trim().slice(0, 1_000);
  const isFull = /No space left on device|Disk quota exceeded/.test(said);
  throw new BerthError(isFull ? 'RESOURCE_EXHAUSTED' : 'INVALID_ARGUMENT', said);
}
