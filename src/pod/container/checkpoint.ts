import { runtimeHandlerOf } from '../../config/runtime-handlers.ts';
import { copyFile, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { makeDirectory } from '../../lib/directories.ts';
import { deadlineSignal } from '../../lib/deadline.ts';
import { BerthError, codeOf, invalid, isErrno, messageOf, wrap } from '../../lib/errors.ts';
import { encodeJson } from '../../lib/exact-json.ts';
import { newId } from '../../lib/id.ts';
import type { PodDeps } from '../deps.ts';
import type { Container } from './container.ts';

export interface CheckpointRequest {
  /** Where the archive goes. */
  readonly location: string;
  /** 0 waits for ever. */
  readonly timeoutSeconds: number;
  /** The container's status as the archive shall have it. */
  readonly status: object;
}

const CRIU_VERSION_MS = 10_000;
/** How much of CRIU's log an error tells. */
const LOG_LINES = 3;

/**
 * Writes a checkpoint of a running container to a tar archive, and leaves it running (CRI CheckpointContainer). The archive is laid
 * out as those of containerd and CRI-O: config.dump, spec.dump, status.dump, checkpoint/ with the images of CRIU, rootfs-diff.tar,
 * container.log, and CRIU's dump.log and stats-dump. It is there whole or not at all.
 */
export function checkpointContainer(
  deps: PodDeps,
  container: Container,
  request: CheckpointRequest,
  signal: AbortSignal,
): Promise<void> {
  // Held against Remove, whose work would otherwise take away what is written here.
  return deps.locks.with(`container ${container.id}`, () => checkpointHeld(deps, container, request, signal));
}

async function checkpointHeld(
  deps: PodDeps,
  container: Container,
  request: CheckpointRequest,
  caller: AbortSignal,
): Promise<void> {
  await checkLocation(request.location);
  if (container.state.phase !== 'running') {
    const problem = `container "${container.id}" is ${container.state.phase}, not running`;
    throw new BerthError('FAILED_PRECONDITION', problem);
  }
  const directory = join(deps.containers.files.directory(container.id), 'checkpoint');
  const { timeoutSeconds } = request;
  using deadline =
    timeoutSeconds > 0
      ? deadlineSignal('the checkpoint', timeoutSeconds * 1_000, caller)
      : { signal: caller, [Symbol.dispose]: () => undefined };
  try {
    await checkCriu(deadline.signal);
    // A Berth that was killed may have left one.
    await rm(directory, { recursive: true, force: true });
    await makeDirectory(join(directory, 'checkpoint'), 0o700);
    await writeParts(deps, container, { directory, status: request.status }, deadline.signal);
    await archive(directory, request.location, deadline.signal);
  } catch (error) {
    deadline.signal.throwIfAborted();
    throw wrap(`failed to checkpoint container "${container.id}"`, await explained(error, directory));
  } finally {
    await rm(directory, { recursive: true, force: true });
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

/** The OCI runtime calls it. Throws FAILED_PRECONDITION when it is not installed. */
async function checkCriu(signal: AbortSignal): Promise<void> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const { execa } = await import('execa');
  try {
    await execa('criu', ['--version'], {
      env: { PATH: path },
      timeout: CRIU_VERSION_MS,
      cancelSignal: signal,
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new BerthError('FAILED_PRECONDITION', 'criu is not installed on this node', { cause: error });
    throw wrap('failed to run criu', error, 'FAILED_PRECONDITION');
  }
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
  const { config, imageRef } = record;
  const image = config.image?.userSpecifiedImage || config.image?.image || imageRef;
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

/** By tar(1), beside its name until it is whole. */
async function archive(directory: string, location: string, signal: AbortSignal): Promise<void> {
  const temporary = `${location}.${newId().slice(0, 8)}.tmp`;
  try {
    // It holds the memory of the container: tar writes into a file that only we can read.
    await writeFile(temporary, '', { mode: 0o600, flag: 'wx' });
    const names = await readdir(directory);
    const args = [
      '--create',
      '--file',
      temporary,
      '--directory',
      directory,
      '--numeric-owner',
      '--',
      ...names,
    ];
    const { execa } = await import('execa');
    await execa('tar', args, { cancelSignal: signal });
    await rename(temporary, location);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The OCI runtime says where CRIU's log is; that goes with the attempt, so its errors are told. */
async function explained(error: unknown, directory: string): Promise<unknown> {
  const log = await readFile(join(directory, 'dump.log'), 'utf8').catch(() => '');
  const errors = log.split('\n').filter((line) => /\bError\b/.test(line));
  if (errors.length === 0) return error;
  const said = errors.slice(-LOG_LINES).join('; ').slice(0, 1_000);
  return new BerthError(codeOf(error), `${messageOf(error)} (criu: ${said})`, { cause: error });
}
