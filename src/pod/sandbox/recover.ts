/**
 * What start-up makes of the records: READY sandboxes whose namespaces live are kept as they are; half-made ones are
 * undone; dead ones are NOTREADY and their DELs owed. Only what a record of ours names is touched, and what is of a sandbox
 * in our state directory that has no record any more. What cannot be done for one sandbox, for want of disk space say, keeps no other
 * from being recovered: kubelet's Stop does it.
 */
import { statfsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeDirectory } from '../../lib/directories.ts';
import { messageOf } from '../../lib/errors.ts';
import type { PodDeps } from '../deps.ts';
import { endPause } from './pause.ts';
import type { PluginProcess, StoredSandbox } from './record.ts';
import { Sandbox, wasReady } from './sandbox.ts';
import { stopHeld } from './stop.ts';
import {
  conclude,
  detachNetwork,
  netnsPath,
  networkTarget,
  releaseNamespaces,
  stateDirectory,
} from './teardown.ts';

/** statfs type of a pinned namespace (NSFS_MAGIC, linux/magic.h). */
const NSFS_MAGIC = 0x6e736673;

export interface Recovery {
  readonly kept: number;
  /**
   * Finishes what was interrupted, once the containers are known: those of a sandbox that was being stopped have to end before its
   * network is taken away. Plugins that hang need not keep the socket waiting. Never rejects.
   */
  readonly finish: () => Promise<void>;
}

/** Reads every record and fills the store. */
export async function recoverSandboxes(deps: PodDeps): Promise<Recovery> {
  const states = join(deps.settings.storage.state, 'sandboxes');
  await makeDirectory(states, 0o700);
  const { stored, unreadable } = await deps.files.readAll();
  for (const path of unreadable) deps.log.error('left an unreadable sandbox record alone', { path });
  const recorded = new Set([
    ...stored.map(({ record }) => record.id),
    ...unreadable.map((path) => basename(path, '.jsonl')),
  ]);
  const orphans = (await readdir(states)).filter((id) => !recorded.has(id));
  for (const id of orphans) await removeOrphan(deps, id);
  const recovered = (await Promise.all(stored.map((one) => recoverIfPossible(deps, one)))).flat();
  for (const { sandbox } of recovered) if (sandbox.state.phase !== 'creating') deps.store.add(sandbox);
  const interrupted = recovered.flatMap(({ sandbox, finish }) =>
    finish === undefined ? [] : [{ sandbox, finish }],
  );
  return {
    kept: recovered.length - interrupted.length,
    finish: async () => {
      await Promise.all(interrupted.map(({ sandbox, finish }) => guarded(deps, sandbox, finish)));
    },
  };
}

/**
 * Somebody has removed the record alone. With its namespace gone, garbage collection takes the sandbox's attachments for what they
 * are.
 */
async function removeOrphan(deps: PodDeps, id: string): Promise<void> {
  const directory = stateDirectory(deps, id);
  const [shm = '', ...pins] = ['shm', 'ipc', 'uts', 'user'].map((name) => join(directory, name));
  try {
    await deps.namespaces.removeAll({ pins: [...pins, netnsPath(deps, id)], shm, directory });
    deps.log.warn('removed what was left of a sandbox without a record', { sandbox: id });
  } catch (error) {
    deps.log.error('failed to remove a sandbox without a record', { sandbox: id, error: messageOf(error) });
  }
}

interface Recovered {
  readonly sandbox: Sandbox;
  /** What is left to do for it, which may take a plugin's time. */
  readonly finish?: () => Promise<void>;
}

/** None for a record that this version cannot make sense of: it stays as it is, and keeps no other from being recovered. */
async function recoverIfPossible(deps: PodDeps, stored: StoredSandbox): Promise<Recovered[]> {
  try {
    return [await recoverOne(deps, stored)];
  } catch (error) {
    deps.log.error('left a sandbox alone that cannot be recovered', {
      sandbox: stored.record.id,
      error: messageOf(error),
    });
    return [];
  }
}

async function recoverOne(deps: PodDeps, { record, state }: StoredSandbox): Promise<Recovered> {
  const sandbox = new Sandbox(record, deps.files, state);
  const { phase, process: plugin } = sandbox.state;
  if (plugin !== undefined && record.bootId === deps.bootId) await endPlugin(plugin);
  switch (phase) {
    case 'creating':
      return { sandbox, finish: () => undoHalfMade(deps, sandbox) };
    case 'stopping':
      return { sandbox, finish: () => deps.locks.with(sandbox.id, () => stopHeld(deps, sandbox, Infinity)) };
    case 'ready':
      if (namespacesLive(deps, sandbox)) return { sandbox };
      await markDead(deps, sandbox).catch((error: unknown) => giveUp(deps, sandbox, error));
      return { sandbox };
    case 'stopped':
    case 'unknown':
      return { sandbox };
    default:
      throw new Error(`its record has the phase ${JSON.stringify(phase)}, which this version does not know`);
  }
}

async function undoHalfMade(deps: PodDeps, sandbox: Sandbox): Promise<void> {
  await endPause(deps, sandbox);
  await detachNetwork(deps, sandbox);
  await releaseNamespaces(deps, sandbox);
  await sandbox.forget();
  deps.log.info('undid a half-made sandbox', { sandbox: sandbox.id, pod: sandbox.pod });
}

/** Nothing lives any more; what the plugins keep outside the namespace (addresses, host ports) has still to be given back. */
async function markDead(deps: PodDeps, sandbox: Sandbox): Promise<void> {
  const rebooted = sandbox.record.bootId !== deps.bootId;
  const reason = rebooted ? 'the node was rebooted' : 'its namespaces are gone';
  await deps.network.owe(networkTarget(sandbox), sandbox.state.results, reason);
  await releaseNamespaces(deps, sandbox);
  // What has that pid now is another process; what containerd still has of ours no record names then.
  const pause = rebooted ? { pausePid: 0 } : {};
  await sandbox.update({ phase: 'stopped', process: undefined, reason, ...pause });
  deps.log.warn('sandbox is dead', { sandbox: sandbox.id, pod: sandbox.pod, reason });
}

function namespacesLive(deps: PodDeps, { record }: Sandbox): boolean {
  return record.bootId === deps.bootId && Object.values(record.namespaces).every(isPinned);
}

/** At once, as records are read: the kernel answers from memory. */
function isPinned(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** Ends the process group of a plugin executable that outlived the Berth that started it. */
async function endPlugin(plugin: PluginProcess): Promise<void> {
  const stat = await readFile(`/proc/${plugin.pid}/stat`, 'utf8').catch(() => '');
  // The second field, the command in parentheses, may hold anything; the rest follows its last parenthesis.
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  if (startTime !== plugin.startTime) return;
  try {
    process.kill(-plugin.pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}

async function guarded(deps: PodDeps, sandbox: Sandbox, finish: () => Promise<void>): Promise<void> {
  try {
    await finish();
  } catch (error) {
    await giveUp(deps, sandbox, error);
    if (deps.store.byId(sandbox.id) === undefined) deps.store.addLate(sandbox);
  }
}

/** Stop goes over all of an UNKNOWN sandbox again. */
async function giveUp(deps: PodDeps, sandbox: Sandbox, error: unknown): Promise<void> {
  const reason = `recovery: ${messageOf(error)}`;
  deps.log.error('failed to recover a sandbox', { sandbox: sandbox.id, pod: sandbox.pod, reason });
  await conclude(deps, sandbox, { phase: 'unknown', wasReady: wasReady(sandbox.state), reason });
}
