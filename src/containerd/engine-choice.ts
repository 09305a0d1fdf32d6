import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { sleep } from '../lib/deadline.ts';
import { BerthError, isErrno, messageOf } from '../lib/errors.ts';
import { isJsonObject } from '../lib/json.ts';
import type { Logger } from '../lib/log.ts';

/** Where containerd listens unless it is told otherwise. */
export const DEFAULT_SOCKET = '/run/containerd/containerd.sock';
const WAIT_MS = 10_000;
const EVERY_MS = 200;

/** An engine that somebody else runs, by its socket; or one that Berth runs itself. */
export type EngineChoice =
  | { readonly kind: 'external'; readonly address: string }
  | { readonly kind: 'embedded' };

export interface EngineChoiceSettings {
  /** `[containerd] address`: '' to choose, `embedded`, or a socket's path. */
  readonly address: string;
  /** `[storage] root`, where the choice is kept. */
  readonly root: string;
  readonly log: Logger;
  /** How this machine looks; the machine itself when absent. */
  readonly machine?: Machine;
}

/** What the choice depends on. */
export interface Machine {
  readonly defaultSocket: string;
  /** Milliseconds that a default socket may take to appear. */
  readonly waitMs: number;
  /** Whether a service manager may yet start containerd. */
  hasUnit(): boolean;
}

const thisMachine: Machine = { defaultSocket: DEFAULT_SOCKET, waitMs: WAIT_MS, hasUnit: hasSystemdUnit };

/**
 * Which engine runs the containers. An address in the configuration is taken as it is. Without one the first choice is
 * recorded and kept: the default socket when it answers within 10 s, or when its file or its unit exists; else embedded. While a
 * recorded engine is away no other is taken, since its containers would be lost from sight.
 */
export async function chooseEngine(
  settings: EngineChoiceSettings,
  { signal }: { signal?: AbortSignal } = {},
): Promise<EngineChoice> {
  const path = join(settings.root, 'engine.json');
  const recorded = readRecord(path);
  if (settings.address === '') {
    if (recorded !== undefined) return recorded;
    const chosen = await chooseFor(settings.machine ?? thisMachine, signal);
    await writeRecord(path, chosen);
    settings.log.info('engine chosen', { engine: nameOf(chosen), recorded: path });
    return chosen;
  }
  const configured: EngineChoice =
    settings.address === 'embedded' ? { kind: 'embedded' } : { kind: 'external', address: settings.address };
  if (recorded === undefined || nameOf(recorded) !== nameOf(configured)) {
    if (recorded !== undefined) {
      const facts = { before: nameOf(recorded), now: nameOf(configured) };
      settings.log.warn('the engine is another than before: containers of the former are not seen', facts);
    }
    await writeRecord(path, configured);
  }
  return configured;
}

async function chooseFor(machine: Machine, signal: AbortSignal | undefined): Promise<EngineChoice> {
  const external: EngineChoice = { kind: 'external', address: machine.defaultSocket };
  if (machine.hasUnit()) return external;
  const deadline = Date.now() + machine.waitMs;
  for (;;) {
    if (existsSync(machine.defaultSocket) || (await answers(machine.defaultSocket))) return external;
    if (signal?.aborted === true) throw signal.reason;
    if (Date.now() >= deadline) return { kind: 'embedded' };
    await sleep(EVERY_MS, signal);
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/** A unit counts only where systemd runs: Debian's package brings one into containers too, where nothing would start it. */
function hasSystemdUnit(): boolean {
  if (!existsSync('/run/systemd/system')) return false;
  const directories = ['/etc', '/run', '/usr/local/lib', '/usr/lib', '/lib'];
  return directories.some((directory) => existsSync(`${directory}/systemd/system/containerd.service`));
}

function nameOf(choice: EngineChoice): string {
  return choice.kind === 'embedded' ? 'embedded' : choice.address;
}

function readRecord(path: string): EngineChoice | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const engine = parseRecord(text, path);
  return engine === 'embedded' ? { kind: 'embedded' } : { kind: 'external', address: engine };
}

/** Guessing here could start a second engine beside one that has containers. */
function parseRecord(text: string, path: string): string {
  let problem = 'it has no "engine"';
  try {
    const record: unknown = JSON.parse(text);
    if (isJsonObject(record)) {
      const { engine } = record;
      if (typeof engine === 'string' && (engine === 'embedded' || engine.startsWith('/'))) return engine;
    }
  } catch (error) {
    problem = messageOf(error);
  }
  throw new BerthError('FAILED_PRECONDITION', `failed to read the chosen engine from "${path}": ${problem}`);
}

function writeRecord(path: string, choice: EngineChoice): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify({ engine: nameOf(choice) })}\n`, { sync: true });
}
