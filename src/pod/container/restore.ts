/**
 * Containers that are restored from a checkpoint: from an archive on this node, or from an image that is one. Its archive is unpacked beside
 * the container's record, as the container is created on the image that the checkpoint names; CRIU restores its processes when it is
 * started, and then what was unpacked goes. The new request decides over names, labels, mounts, limits and where the log goes;
 * the checkpoint over what the processes are.
 */
import { copyFile, constants, mkdir, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, posix } from 'node:path';
import { isRunc, requireRuntimeHandler } from '../../config/runtime-handlers.ts';
import type { Mount__Output } from '../../gen/runtime/v1/Mount.ts';
import { makeDirectory } from '../../lib/directories.ts';
import { BerthError, codeOf, invalid, isErrno, wrap } from '../../lib/errors.ts';
import type { RuntimeSpec } from '../../oci/types.ts';
import { userMappings } from '../../oci/user-namespace.ts';
import type { PodDeps } from '../deps.ts';
import type { CheckpointToRestore, EngineImage, ImageOptions } from '../engine/engine.ts';
import {
  type CheckpointFacts,
  IMAGES,
  LOG,
  readCheckpoint,
  ROOTFS_DIFF,
  tar,
  unpackCheckpoint,
} from './checkpoint-archive.ts';
import type { Container } from './container.ts';
import { checkCriu, withLogOfCriu } from './criu.ts';
import { volumeMount } from './declared-volumes.ts';
import type { ContainerPlan } from './plan.ts';
import type { RestoredFrom } from './record.ts';

/** By its digest: what can be pulled and be no other. */
const BY_DIGEST = /@sha256:[0-9a-f]{64}$/;
/** As the CRI of containerd and that of CRI-O have it. */
const AN_ID = /^(sha256:)?[0-9a-f]{64}$/;

/** CRI-O mounts a file there, by which programs know that they are in a container. */
const CONTAINERENV = '/run/.containerenv';

/** A checkpoint that is unpacked. */
export interface OpenCheckpoint {
  readonly from: RestoredFrom;
  readonly facts: CheckpointFacts;
  /** What the container had made of its image, as layers. */
  readonly layers: readonly string[];
  /** What it is given that no request asks for. */
  readonly mounts: readonly Mount__Output[];
}

/**
 * The image that a container is to be made of and, when what was asked for is a checkpoint, that, unpacked into the container's directory.
 * What is there when a Berth is killed before there is a record goes with its next start.
 */
export async function imageOrCheckpoint(
  deps: PodDeps,
  plan: ContainerPlan,
  id: string,
  signal: AbortSignal,
): Promise<{ image: EngineImage; checkpoint?: OpenCheckpoint }> {
  const { engine } = deps.containers;
  const options = { runtimeHandler: plan.sandbox.record.runtimeHandler, signal };
  const asked = isAbsolute(plan.image) ? undefined : await engine.image(plan.image, options);
  if (asked !== undefined && asked.checkpointOf === undefined) return { image: asked };
  const directory = directoryOf(deps, id);
  try {
    checkAllowed(deps);
    checkPod(deps, plan);
    await checkCriu(signal);
    await makeDirectory(directory, 0o700);
    if (asked === undefined) await unpackCheckpoint(await existing(plan.image), directory, signal);
    else await unpackImage(deps, asked, directory, signal);
    const facts = await readCheckpoint(directory);
    checkFacts(facts, plan);
    const image = await baseImage(deps, facts, options);
    const from = {
      image: plan.config.image?.userSpecifiedImage || plan.image,
      checkpointedAt: facts.checkpointedAt,
    };
    const layers = await layersOf(directory, facts, signal);
    const mounts = await mountsOf(dirname(directory), facts);
    return { image, checkpoint: { from, facts, layers, mounts } };
  } catch (error) {
    await rm(dirname(directory), { recursive: true, force: true });
    throw wrap(`failed to open checkpoint "${plan.image}"`, error);
  }
}

/** Whoever may name an image would get the users and capabilities that its processes had, whatever the pod's security context says. */
function checkAllowed({ settings }: PodDeps): void {
  if (settings.runtime.restoreCheckpoints) return;
  const problem = 'checkpoints are not restored on this node: runtime.restore_checkpoints is false';
  throw new BerthError('FAILED_PRECONDITION', problem);
}

/** Throws FAILED_PRECONDITION when a container has not all the mounts that its processes had when they were checkpointed. */
export function checkMounts({ mounts }: RuntimeSpec, { facts }: OpenCheckpoint): void {
  const there = new Set(mounts.map(({ destination }) => posix.resolve('/', destination)));
  const missing = facts.mounts.filter((path) => !there.has(path));
  if (missing.length === 0) return;
  const problem = `its checkpoint has mounts that it lacks: ${missing.join(', ')}`;
  throw new BerthError('FAILED_PRECONDITION', problem);
}

/** What a container is to be restored from as it is started; undefined when it starts from the beginning. Its log begins with the log that it had. */
export async function beginRestore(
  deps: PodDeps,
  { id, record }: Container,
): Promise<CheckpointToRestore | undefined> {
  if (record.restored === undefined) return undefined;
  const directory = directoryOf(deps, id);
  const old = join(directory, LOG);
  if (record.logPath !== '' && existsSync(old)) {
    await makeDirectory(dirname(record.logPath), 0o755);
    await copyFile(old, record.logPath, constants.COPYFILE_EXCL).catch((error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
  }
  return { images: join(directory, IMAGES), work: directory };
}

/** Why a container could not be started, with what CRIU has said when it was to be restored. */
export async function restoreError(
  deps: PodDeps,
  { id, record }: Container,
  error: unknown,
): Promise<unknown> {
  if (record.restored === undefined) return error;
  return withLogOfCriu(error, join(directoryOf(deps, id), 'restore.log'));
}

/** Removes what a container was, or could not be, restored from. What stays goes with the container. */
export async function endRestore(deps: PodDeps, { id, record }: Container): Promise<void> {
  if (record.restored === undefined) return;
  await rm(directoryOf(deps, id), { recursive: true, force: true }).catch(() => undefined);
}

function directoryOf(deps: PodDeps, id: string): string {
  return join(deps.containers.files.directory(id), 'restore');
}

function checkPod({ settings }: PodDeps, { sandbox: { record } }: ContainerPlan): void {
  const { type } = requireRuntimeHandler(settings.containerd, record.runtimeHandler);
  if (!isRunc(type))
    throw new BerthError('FAILED_PRECONDITION', `the runtime "${type}" of its pod cannot restore one`);
  if (userMappings(record.config) !== undefined)
    throw new BerthError('FAILED_PRECONDITION', 'none can be restored in a pod with a user namespace');
}

function checkFacts({ terminal, userNamespace }: CheckpointFacts, { config }: ContainerPlan): void {
  if (userNamespace) throw new BerthError('FAILED_PRECONDITION', 'it is of a container in a user namespace');
  if (terminal !== config.tty)
    throw invalid('config.tty', `must be ${terminal}, as it was when the checkpoint was made`);
}

async function existing(path: string): Promise<string> {
  if (!existsSync(path)) throw new BerthError('NOT_FOUND', 'there is no such file');
  return path;
}

async function unpackImage(
  deps: PodDeps,
  image: EngineImage,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const archive = `${directory}.tar`;
  await deps.containers.engine.checkpointArchive(image, archive, { signal });
  await unpackCheckpoint(archive, directory, signal);
  await rm(archive);
}

/** As it is on the node, or else pulled. A tag may be another image's by now: it counts only when the archive knows nothing better. */
async function baseImage(
  deps: PodDeps,
  { images }: CheckpointFacts,
  options: ImageOptions,
): Promise<EngineImage> {
  const { engine } = deps.containers;
  const exact = images.filter((name) => BY_DIGEST.test(name) || AN_ID.test(name));
  for (const name of exact.length > 0 ? exact : images) {
    try {
      return await engine.image(name, options);
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error;
    }
  }
  const name = exact.find((one) => BY_DIGEST.test(one));
  if (name === undefined)
    throw new BerthError(
      'NOT_FOUND',
      `its image "${images.join('", "')}" is not on this node: pull it first`,
    );
  return engine.pulledImage(name, options);
}

/** The file of CRI-O, an empty one: it stays for as long as the container. */
async function mountsOf(directory: string, { mounts }: CheckpointFacts): Promise<Mount__Output[]> {
  if (!mounts.includes(CONTAINERENV)) return [];
  const file = join(directory, 'containerenv');
  await writeFile(file, '', { mode: 0o644 });
  return [{ ...volumeMount({ path: CONTAINERENV, directory: file }), readonly: true }];
}

/** What was removed becomes a layer of whiteouts. */
async function layersOf(
  directory: string,
  { deleted }: CheckpointFacts,
  signal: AbortSignal,
): Promise<string[]> {
  const diff = join(directory, ROOTFS_DIFF);
  const layers = existsSync(diff) ? [diff] : [];
  if (deleted.length === 0) return layers;
  const root = join(directory, 'deleted');
  const whiteouts: string[] = [];
  for (const path of deleted) {
    signal.throwIfAborted();
    const whole = posix.join('/', path);
    if (whole === '/' || whole.includes('\0')) continue;
    const whiteout = posix.join(posix.dirname(whole), `.wh.${posix.basename(whole)}`).slice(1);
    await mkdir(join(root, dirname(whiteout)), { recursive: true, mode: 0o700 });
    await writeFile(join(root, whiteout), '');
    whiteouts.push(whiteout);
  }
  const layer = `${root}.tar`;
  // The files alone: directories would get another owner and mode.
  const files = ['--null', '--verbatim-files-from', '--files-from=-'];
  await tar(['--create', '--file', layer, '--directory', root, ...files], signal, whiteouts.join('\0'));
  return [...layers, layer];
}
