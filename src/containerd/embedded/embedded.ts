/**
 * A containerd that Berth runs itself, as a child in a session of its own, so that it survives Berth and is found again.
 *
 *            spawn, or adopt one that runs; what fails can be tried again
 *   stopped ─────────────────────────────▶ running ──┐ ended: spawned again with back-off
 *      ▲                                      │  ▲   │ (containers live on: their shims do)
 *      └──────────────────────────────────────┘  └───┘
 *            stop(), unless something runs
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeDirectory } from '../../lib/directories.ts';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { deadlineSignal, sleep } from '../../lib/deadline.ts';
import { BerthError, isErrno, messageOf } from '../../lib/errors.ts';
import { isJsonObject } from '../../lib/json.ts';
import type { Logger } from '../../lib/log.ts';
import { Containerd } from '../containerd.ts';
import { embeddedConfig, type EmbeddedPaths, parseVersion, type Version } from './config.ts';
import { LogTail } from './log-tail.ts';
import {
  argvOf,
  findProcesses,
  isContainerd,
  isRunning,
  isShimOf,
  type ProcessIdentity,
  signalProcess,
} from './process.ts';
import { spawnDetached } from './spawn.ts';

const FIRST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 10_000;
/** Between tries to start one that could not be started at all. */
const FIRST_TRY_PAUSE_MS = 1_000;
const MOST_TRY_PAUSE_MS = 60_000;
/** How long containerd may take to tell its version; a node that boots has much to do. Without it there are no containers. */
const VERSION_MS = 60_000;
/** Who ran this long was not crashing. */
const STEADY_MS = 30_000;
/** How often an adopted process, whose end nobody tells us, is looked at. */
const LOOK_EVERY_MS = 250;
const TERMINATE_MS = 3_000;
const IDLE_CHECK_MS = 1_500;
/**
 * Containers inherit it, and some programs take as long, or as much memory, as there are files that they may open. By its own unit containerd
 * has had the kernel's default since 2.0, and raises it for itself; before, it had all that there was.
 */
const SOFT_OPEN_FILES = 1_024;
/** What a unix socket's path may have. */
const SOCKET_PATH_MAX = 107;

export interface EmbeddedSettings {
  /** `[storage] root` and `state`; the engine's files are below them, in `containerd`. */
  readonly root: string;
  readonly state: string;
  readonly registryConfigPath: string;
  readonly snapshotter: string;
  /** Those of runtime handlers, by handler. */
  readonly handlerSnapshotters?: ReadonlyMap<string, string>;
  /** containerd by name or path; its shims are searched in PATH. */
  readonly executable?: string;
  /** Done before one is started, and waited for. */
  readonly beforeStart?: () => Promise<void>;
  readonly log: Logger;
}

interface Running extends ProcessIdentity {
  readonly since: number;
  /** Resolves, with how, when the process has ended. */
  readonly ended: Promise<string>;
}

export class EmbeddedContainerd {
  readonly #settings: EmbeddedSettings;
  readonly #executable: string;
  readonly #paths: EmbeddedPaths;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #version: Version | undefined;
  #running: Running | undefined;
  #restarts = 0;
  #lastEnd: string | undefined;
  #failure: string | undefined;
  #tail: LogTail | undefined;
  #supervision: Promise<void> | undefined;

  constructor(settings: EmbeddedSettings) {
    this.#settings = settings;
    this.#executable = settings.executable ?? 'containerd';
    this.#paths = embeddedPaths(settings);
    this.#log = settings.log.child({ component: 'containerd' });
  }

  /** The socket to connect to; it answers some time after start(). */
  get address(): string {
    return this.#paths.socket;
  }

  /** For status and verbose answers. */
  get status(): {
    pid: number | undefined;
    restarts: number;
    lastEnd: string | undefined;
    /** Why it could not be started, while that is tried again. */
    failure: string | undefined;
  } {
    return {
      pid: this.#running?.pid,
      restarts: this.#restarts,
      lastEnd: this.#lastEnd,
      failure: this.#failure,
    };
  }

  /**
   * Adopts the one that a former Berth left running, or starts one, and keeps one running from now on. Throws
   * FAILED_PRECONDITION when there is no containerd that could be run, and the signal's reason.
   */
  async start({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const paths = this.#paths;
    if (paths.socket.length + '.ttrpc'.length > SOCKET_PATH_MAX) {
      const problem = `the socket's path "${paths.socket}" is longer than the kernel allows`;
      throw new BerthError('FAILED_PRECONDITION', `failed to start the embedded containerd: ${problem}`);
    }
    for (const directory of [dirname(paths.socket), paths.root, paths.cniConfDir]) {
      await makeDirectory(directory, 0o700);
    }
    // Root file systems are below: root of a user namespace has to get there, not to look around.
    await chmod(dirname(paths.socket), 0o711);
    await this.#knownVersion(signal);
    this.#tail ??= await LogTail.follow(paths.log, this.#log);
    this.#running = await this.#adoptOrSpawn();
    this.#failure = undefined;
    this.#supervision = this.#supervise(this.#running);
  }

  /** Does what start() failed to do as soon as that can be done: tries with growing pauses, until stop(). */
  keepTrying(failure: unknown): void {
    this.#failure = messageOf(failure);
    this.#supervision = this.#startLater();
  }

  /**
   * Ends it and returns true; with `ifIdle` only when no container runs, else it is left to the next Berth. Idempotent.
   */
  async stop({ ifIdle }: { ifIdle: boolean }): Promise<boolean> {
    const idle = !ifIdle || (await this.#isIdle());
    this.#stopping.abort();
    await this.#supervision;
    const running = this.#running;
    if (idle && running !== undefined) {
      await terminate(running);
      await rm(this.#paths.record, { force: true });
      this.#running = undefined;
    }
    await this.#tail?.stop();
    this.#tail = undefined;
    return idle;
  }

  async #startLater(): Promise<void> {
    const { signal } = this.#stopping;
    for (let pause = FIRST_TRY_PAUSE_MS; ; pause = Math.min(pause * 2, MOST_TRY_PAUSE_MS)) {
      await sleep(pause, signal);
      if (signal.aborted) return;
      try {
        await this.start({ signal });
        // Which is start()'s now.
        await this.#supervision;
        return;
      } catch (error) {
        const failure = messageOf(error);
        // Once is enough in the log.
        if (failure !== this.#failure && !this.#stopping.signal.aborted)
          this.#log.error('failed to start containerd', { error: failure });
        this.#failure = failure;
      }
    }
  }

  async #knownVersion(signal?: AbortSignal): Promise<Version> {
    return (this.#version ??= await this.#askVersion(signal));
  }

  async #askVersion(signal?: AbortSignal): Promise<Version> {
    try {
      const { stdout } = await promisify(execFile)(this.#executable, ['--version'], {
        timeout: VERSION_MS,
        ...(signal === undefined ? {} : { signal }),
      });
      return parseVersion(stdout);
    } catch (error) {
      signal?.throwIfAborted();
      const cause = isErrno(error, 'ENOENT')
        ? `there is no executable "${this.#executable}"`
        : messageOf(error);
      throw new BerthError('FAILED_PRECONDITION', `failed to start the embedded containerd: ${cause}`, {
        cause: error,
      });
    }
  }

  /** One that was spawned and could not be recorded, on a full disk say, runs all the same. */
  async #adoptOrSpawn(): Promise<Running> {
    return (await this.#adopt()) ?? this.#spawn();
  }

  /** The one that runs already, by its record, or by its command line if Berth was killed before it wrote one. */
  async #adopt(): Promise<Running | undefined> {
    const found = this.#recorded() ?? findProcesses((argv) => isContainerd(argv, this.#paths.config))[0];
    if (found === undefined) return undefined;
    if (await this.#writeConfig()) {
      this.#log.info('containerd is restarted with a new configuration', { pid: found.pid });
      await terminate({ ...found, ended: endOf(found) });
      return undefined;
    }
    await this.#record(found);
    this.#log.info('containerd was running and is adopted', { pid: found.pid });
    return { ...found, since: performance.now(), ended: endOf(found) };
  }

  #recorded(): ProcessIdentity | undefined {
    const { record, config } = this.#paths;
    try {
      const found: unknown = JSON.parse(readFileSync(record, 'utf8'));
      if (!isJsonObject(found)) return undefined;
      const { pid, startTime } = found;
      if (typeof pid !== 'number' || typeof startTime !== 'string') return undefined;
      const identity = { pid, startTime };
      return isRunning(identity) && isContainerd(argvOf(pid), config) ? identity : undefined;
    } catch {
      // Absent or torn: the command lines tell.
      return undefined;
    }
  }

  async #spawn(): Promise<Running> {
    const { config, log, socket } = this.#paths;
    await this.#writeConfig();
    await this.#settings.beforeStart?.();
    const { major } = await this.#knownVersion();
    const openFiles = major >= 2 ? SOFT_OPEN_FILES : undefined;
    const args = ['--config', config];
    const { identity, ended } = spawnDetached(this.#executable, args, { logPath: log, openFiles });
    if (identity === undefined) throw new BerthError('UNAVAILABLE', `containerd ended: ${await ended}`);
    await this.#record(identity);
    this.#log.info('containerd started', { pid: identity.pid, socket });
    return { ...identity, since: performance.now(), ended };
  }

  async #supervise(first: Running): Promise<void> {
    const { signal } = this.#stopping;
    let running = first;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const ended = await endOrStop(running.ended, signal);
      if (ended === undefined) return;
      this.#running = undefined;
      this.#lastEnd = ended;
      if (performance.now() - running.since > STEADY_MS) pause = FIRST_PAUSE_MS;
      this.#log.error('containerd ended and is started again', { ended, pid: running.pid, pauseMs: pause });
      const again = await this.#spawnAgain(pause);
      if (again === undefined) return;
      running = again;
      pause = Math.min(pause * 2, MOST_PAUSE_MS);
    }
  }

  /** Spawns until that succeeds; undefined when told to stop meanwhile. */
  async #spawnAgain(pauseMs: number): Promise<Running | undefined> {
    const { signal } = this.#stopping;
    for (let pause = pauseMs; ; pause = Math.min(pause * 2, MOST_PAUSE_MS)) {
      await sleep(pause, signal);
      if (signal.aborted) return undefined;
      try {
        this.#restarts += 1;
        this.#running = await this.#adoptOrSpawn();
        return this.#running;
      } catch (error) {
        this.#log.error('failed to start containerd', { error: messageOf(error) });
      }
    }
  }

  /** True when the file is now another. */
  async #writeConfig(): Promise<boolean> {
    const version = await this.#knownVersion();
    const text = embeddedConfig({ ...this.#settings, paths: this.#paths, version });
    const path = this.#paths.config;
    if (existsSync(path) && readFileSync(path, 'utf8') === text) return false;
    await writeFileAtomic(path, text);
    return true;
  }

  #record({ pid, startTime }: ProcessIdentity): Promise<void> {
    return writeFileAtomic(this.#paths.record, `${JSON.stringify({ pid, startTime })}\n`);
  }

  /** Whether no container runs. One that does not answer is left alone if it has shims. */
  async #isIdle(): Promise<boolean> {
    const engine = new Containerd({ address: this.address, log: this.#log });
    using deadline = deadlineSignal('asking for tasks', IDLE_CHECK_MS);
    const { signal } = deadline;
    try {
      for (const namespace of await engine.namespaces.list({ signal })) {
        const tasks = await engine.tasks.list({ signal, namespace });
        if (tasks.some(({ status }) => status !== 'STOPPED')) return false;
      }
      return true;
    } catch {
      return findProcesses((argv) => isShimOf(argv, this.address)).length === 0;
    } finally {
      engine.connection.close();
    }
  }
}

/** Where the embedded containerd of these directories keeps what. */
export function embeddedPaths({ root, state }: { root: string; state: string }): EmbeddedPaths {
  const directory = join(state, 'containerd');
  return {
    root: join(root, 'containerd'),
    state: join(directory, 'state'),
    socket: join(directory, 'containerd.sock'),
    config: join(directory, 'config.toml'),
    log: join(directory, 'containerd.log'),
    record: join(directory, 'process.json'),
    runcRoot: join(directory, 'runc'),
    cniConfDir: join(directory, 'cni'),
  };
}

async function terminate(running: ProcessIdentity & { ended: Promise<string> }): Promise<void> {
  signalProcess(running, 'SIGTERM');
  const timer = setTimeout(() => signalProcess(running, 'SIGKILL'), TERMINATE_MS);
  await running.ended;
  clearTimeout(timer);
}

/** The end of a process that is not our child. */
async function endOf(identity: ProcessIdentity): Promise<string> {
  while (isRunning(identity)) await sleep(LOOK_EVERY_MS);
  return 'unknown: it was no child of this process';
}

function endOrStop(ended: Promise<string>, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stop = (): void => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    void ended.then(resolve).finally(() => signal.removeEventListener('abort', stop));
  });
}
