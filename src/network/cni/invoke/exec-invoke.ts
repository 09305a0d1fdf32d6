import { stat } from 'node:fs/promises';
import { sleep } from '../../../lib/deadline.ts';
import { SyscallError } from '../../../kernel/errno.ts';
import { messageOf } from '../../../lib/errors.ts';
import { isJsonObject } from '../../../lib/json.ts';
import { field } from '../fields.ts';
import { withDetails } from '../types.ts';
import { findExecutable } from './find.ts';
import {
  type Invoke,
  type InvokeOptions,
  PluginError,
  type PluginReply,
  type PluginRequest,
} from './invoke.ts';
import { type ProcessOutcome, runProcess } from './run-process.ts';

const MAX_OUTPUT = 4 * 1024 * 1024;
/** Waits between tries of an executable that is being written, in milliseconds; five seconds in all. */
const BUSY_WAITS = [50, 150, 300, 500, 1000, 1000, 2000];
const SHOWN_OUTPUT = 512;

/** Plugins as executables, by the protocol of the CNI specification 1.1.0, section 2. */
export class ExecInvoke implements Invoke {
  readonly #environment: Readonly<Record<string, string>>;
  readonly #versions = new Map<string, { readonly identity: string; readonly reply: PluginReply }>();

  /** @param environment what a plugin inherits besides CNI_*; the daemon's own by default. */
  constructor(environment: Readonly<Record<string, string | undefined>> = process.env) {
    const defined = Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    this.#environment = Object.fromEntries(defined);
  }

  /** VERSION is asked once of each executable, and again after the file has changed. */
  async invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    const { dryRun = false, builtinsOnly = false } = request.hints ?? {};
    // It is given no hints, and would do it.
    if (dryRun || builtinsOnly) return { output: undefined, provider: '', stderr: '' };
    await options.ready;
    const file = await findExecutable(request.type, request.path);
    if (request.verb !== 'VERSION') return this.#run(file, request, options);
    const { ino, size, mtimeMs } = await stat(file);
    const identity = `${ino} ${size} ${mtimeMs}`;
    const known = this.#versions.get(file);
    if (known?.identity === identity) return known.reply;
    const reply = await this.#run(file, request, options);
    this.#versions.set(file, { identity, reply });
    return reply;
  }

  async #run(file: string, request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    const outcome = await this.#start(file, request, options);
    const facts = { provider: file, stderr: outcome.stderr };
    if (options.signal.aborted) {
      throw new PluginError('killed before it ended', { ...facts, cause: options.signal.reason });
    }
    if (outcome.isOverflow) {
      throw new PluginError(`netplugin printed more than ${MAX_OUTPUT} bytes and was killed`, facts);
    }
    if (outcome.exitCode !== 0) throw failureOf(outcome, facts);
    const output = parseOutput(outcome.stdout, facts);
    const error = errorObject(output);
    if (error !== undefined && error.code !== 0) throw new PluginError(error.message, { ...facts, ...error });
    return { output, ...facts };
  }

  async #start(file: string, request: PluginRequest, options: InvokeOptions): Promise<ProcessOutcome> {
    const env = { ...this.#environment, ...protocolEnvironment(request) };
    const input = JSON.stringify(request.config);
    const run = { file, env, input, maxOutput: MAX_OUTPUT, onProcess: options.onProcess };
    for (const wait of [...BUSY_WAITS, undefined]) {
      try {
        return await runProcess(run, options.signal);
      } catch (error) {
        if (options.signal.aborted) throw options.signal.reason;
        const isBusy = error instanceof SyscallError && error.code === 'ETXTBSY';
        if (!isBusy || wait === undefined) {
          throw new PluginError(`failed to start ${file}: ${messageOf(error)}`, {
            provider: file,
            cause: error,
          });
        }
        await sleep(wait, options.signal);
      }
    }
    throw new PluginError(`failed to start ${file}`, { provider: file });
  }
}

function protocolEnvironment(request: PluginRequest): Record<string, string> {
  return {
    CNI_COMMAND: request.verb,
    CNI_CONTAINERID: request.containerId,
    CNI_NETNS: request.netns,
    CNI_IFNAME: request.ifName,
    CNI_ARGS: request.args,
    CNI_PATH: request.path.join(':'),
  };
}

interface Facts {
  readonly provider: string;
  readonly stderr: string;
}

function failureOf(outcome: ProcessOutcome, facts: Facts): PluginError {
  const how =
    outcome.exitSignal === null ? `exit status ${outcome.exitCode ?? '?'}` : `signal: ${outcome.exitSignal}`;
  const { stdout, stderr } = outcome;
  if (stdout.trim() === '') {
    const text =
      stderr.trim() === ''
        ? `netplugin failed with no error message: ${how}`
        : `netplugin failed: ${stderr.trim()} (${how})`;
    return new PluginError(text, facts);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(stdout);
  } catch (error) {
    const text = `netplugin failed but error parsing its diagnostic message ${shown(stdout)}: ${messageOf(error)} (${how})`;
    return new PluginError(text, { ...facts, cause: error });
  }
  const error = errorObject(parsed);
  if (error === undefined)
    return new PluginError(`netplugin failed and printed no error object: ${shown(stdout)} (${how})`, facts);
  return new PluginError(error.message || `netplugin failed with no error message: ${how}`, {
    ...facts,
    ...error,
  });
}

function parseOutput(stdout: string, facts: Facts): unknown {
  if (stdout.trim() === '') return undefined;
  try {
    return JSON.parse(stdout) as unknown;
  } catch (error) {
    const text = `netplugin printed invalid JSON ${shown(stdout)}: ${messageOf(error)}`;
    throw new PluginError(text, { ...facts, cause: error });
  }
}

/** The error object of the specification (section 5, "Error"), when the value is one. */
function errorObject(value: unknown): { code: number; message: string; details: string } | undefined {
  if (!isJsonObject(value)) return undefined;
  const code = field(value, 'code');
  const message = field(value, 'msg');
  const details = field(value, 'details');
  if (typeof code !== 'number' && typeof message !== 'string') return undefined;
  const told = typeof details === 'string' ? details : '';
  const text = typeof message === 'string' ? message : '';
  return {
    code: typeof code === 'number' ? code : 0,
    message: withDetails(text, told),
    details: told,
  };
}

/** The beginning of what a plugin printed, fit for one line. */
function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_OUTPUT ? `${text.slice(0, SHOWN_OUTPUT)}…` : text);
}
