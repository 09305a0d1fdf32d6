import { runtimeHandlerOf } from '../../config/runtime-handlers.ts';
import { copyFile, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeDirectory } from '../../lib/directories.ts';
import { deadlineSignal, raceSignal } from '../../lib/deadline.ts';
import { BerthError, invalid, isErrno, messageOf, wrap } from '../../lib/errors.ts';
import { encodeJson } from '../../lib/exact-json.ts';
import { newId } from '../../lib/id.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';
import { checkCriu, withLogOfCriu } from './criu.ts';

export interface CheckpointRequest {
  /** Where the archive goes. */
  readonly location: string;
  /** 0 waits for ever. */
  readonly timeoutSeconds: number;
  /** The container's status as the archive shall have it. */
  readonly status: object;
}

/**
 * Writes a checkpoint of a running container to a tar archive, and leaves it running (CRI CheckpointContainer). The archive is laid
 * out as those of containerd and CRI-O: config.dump, spec.dump, status.dump, checkpoint/ with the images of CRIU, rootfs-diff.tar,
 * container.log, and CRIU's dump.log and stats-dump. It is there whole or not at all.
 */
export async function checkpointContainer(
  deps: PodDeps,
  container: Container,
  request: CheckpointRequest,
  caller: AbortSignal,
): Promise<void> {
  const { timeoutSeconds } = request;
  using deadline =
    timeoutSeconds > 0
      ? deadlineSignal('the checkpoint', timeoutSeconds * 1_000, caller)
      : { signal: caller, [Symbol.dispose]: () => undefined };
  const { signal } = deadline;
  // Held against Remove, whose work would otherwise take away what is written here.
  const done = deps.locks.with(`container ${container.id}`, () =>
    checkpointHeld(deps, container, request, signal),
  );
  // CRIU may take longer than the caller has: the container is held until it goes on.
  await raceSignal(done, signal);
}

/** Removes what a checkpoint that a killed Berth was at has left, here and beside its archive. To be held. */
export async function removeUnfinished(deps: PodDeps, container: Container): Promise<void> {
  const { directory, unfinished } = pathsOf(deps, container);
  const archive = await readFile(unfinished, 'utf8').catch(() => '');
  if (archive !== '') await rm(archive, { force: true });
  await rm(directory, { recursive: true, force: true });
}

interface Paths {
  /** There while a checkpoint is under way. */
  readonly directory: string;
  /** What is archived. */
  readonly parts: string;
  /** A file that holds the path of an archive that is not whole. */
  readonly unfinished: string;
}

function pathsOf(deps: PodDeps, { id }: Container): Paths {
  const directory = join(deps.containers.files.directory(id), 'checkpoint');
  return { directory, parts: join(directory, 'parts'), unfinished: join(directory, 'unfinished') };
}

async function checkpointHeld(
  deps: PodDeps,
  container: Container,
  request: CheckpointRequest,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await checkLocation(request.location);
  if (container.state.phase !== 'running') {
    const problem = `container "${container.id}" is ${container.state.phase}, not running`;
    throw new BerthError('FAILED_PRECONDITION', problem);
  }
  const paths = pathsOf(deps, container);
  try {
    await checkCriu(signal);
    await removeUnfinished(deps, container);
    await makeDirectory(join(paths.parts, 'checkpoint'), 0o700);
    await writeParts(deps, container, { directory: paths.parts, status: request.status }, signal);
    await archive(paths, request.location, signal);
  } catch (error) {
    const failed = wrap(
      `failed to checkpoint container "${container.id}"`,
      await withLogOfCriu(error, join(paths.parts, 'dump.log')),
    );
    if (signal.aborted && error !== signal.reason)
      deps.log.warn('a checkpoint failed after its caller had left', { error: failed.message });
    throw failed;
  } finally {
    await removeUnfinished(deps, container);
  }
}

async function checkLocation(location: string): Promise<void> {
  if (location === '') throw invalid('location', 'must not be empty');
  if (!isAbsolute(location) || location.includes('\0')) throw invalid('location', 'must be an absolute path');
  const parent = await stat(dirname(location)).catch((error: unknown) => {
    throw invalid('location', `its directory: ${messageOf(error)}`);
  });
  const itself = await stat(location).catch(() => undefined);
  if (!parent.isDirectory() || itself?.isDirectory() === true)
    throw invalid('location', `${JSON.stringify(location)} is not the path of a file`);
}

async function writeParts(
  deps: PodDeps,
  { id, record }: Container,
  { directory, status }: { readonly directory: string; readonly status: object },
  signal: AbortSignal,
): Promise<void> {
  const file = (name: string): string => join(directory, name);
  const write = (name: string, content: string): Promise<void> =>
    writeFile(file(name), content, { mode: 0o600 });
  const checkpointedTime = new Date().toISOString();
  const files = { images: file('checkpoint'), work: directory, rootfsDiff: file('rootfs-diff.tar') };
  await deps.containers.engine.checkpoint(id, files, { signal });
  const { config, imageRef, imageTag, restored } = record;
  // What a restored one was asked for is a checkpoint, too.
  const asked = restored === undefined ? config.image : null;
  const image = asked?.userSpecifiedImage || asked?.image || imageTag || imageRef;
  const facts = {
    id,
    name: record.reservedName,
    rootfsImage: image,
    rootfsImageRef: imageRef,
    rootfsImageName: image,
    runtime: runtimeHandlerOf(deps.settings.containerd, record.runtimeHandler)?.type ?? '',
    createdTime: new Date(Number(BigInt(record.createdAt) / 1_000_000n)).toISOString(),
    checkpointedTime,
    restoredTime: '0001-01-01T00:00:00Z',
    restored: false,
  };
  await write('config.dump', encodeJson(facts));
  await write('status.dump', encodeJson(status));
  await write('spec.dump', await readFile(deps.containers.files.specPath(id), 'utf8'));
  if (record.logPath === '') return;
  await copyFile(record.logPath, file('container.log')).catch((error: unknown) => {
    // Rotated away, or never written.
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

/** Beside its name until it is whole. What is left of it on failure is recorded. */
async function archive({ parts, unfinished }: Paths, location: string, signal: AbortSignal): Promise<void> {
  const temporary = `${location}.${newId().slice(0, 8)}.tmp`;
  await writeFile(unfinished, temporary, { mode: 0o600 });
  const args = ['--create', '--directory', parts, '--numeric-owner', '--', ...(await readdir(parts))];
  const { execa } = await import('execa');
  const tar = execa('tar', args, { cancelSignal: signal, buffer: { stdout: false } });
  // Not written by tar: of a full disk it may say no more than that it wrote less than it wanted to. Only we can read it: it holds memory.
  const file = createWriteStream(temporary, { mode: 0o600, flags: 'wx' });
  try {
    await Promise.all([pipeline(tar.stdout, file), tar]);
    await rename(temporary, location);
  } catch (error) {
    throw wrap(`failed to write ${JSON.stringify(location)}`, error);
  }
}
