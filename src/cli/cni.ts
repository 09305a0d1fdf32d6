/**
 * `berth cni TYPE`: a built-in plugin as an executable of the CNI protocol (specification 1.1.0, section 2). What it prints on
 * stdout is a result or an error object and nothing else. Loads the plugins and no more, as it is started once per call.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeSync } from 'node:fs';
import { messageOf } from '../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../lib/json.ts';
import type { PluginRequest } from '../network/cni/invoke/invoke.ts';
import { CniCode, CniError } from '../network/cni/types.ts';
import { SUPPORTED_VERSIONS } from '../network/cni/versions/versions.ts';
import { createContext, type ExecutableReply } from '../network/plugins/context.ts';
import { askDaemon } from '../network/plugins/ipam/dhcp/remote.ts';
import type { Plugin } from '../network/plugins/plugin.ts';
import { createRegistry, type Registry } from '../network/plugins/registry.ts';
import { runPlugin } from '../network/plugins/skeleton.ts';
import { pluginTypes } from '../network/plugins/types.ts';

/** Runs one call as the environment and stdin say; returns the exit code. */
export function runCniCommand(type: string): number {
  const registry = createRegistry();
  const plugin = registry.get(type);
  if (plugin === undefined) {
    writeSync(2, `berth cni: unknown plugin "${type}"; there are ${pluginTypes.join(', ')}\n`);
    return 2;
  }
  if ((process.env['CNI_COMMAND'] ?? '') === '') {
    writeSync(
      2,
      `CNI ${type} plugin, built into Berth\nCNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}\n`,
    );
    return 0;
  }
  return call(plugin, registry);
}

function call(plugin: Plugin, registry: Registry): number {
  let config: unknown;
  const readConfig = (): unknown => (config = parseStdin());
  try {
    const output = runPlugin(plugin, process.env, readConfig, createContext(plugin.type, placeOf(registry)));
    if (output !== undefined) print(output);
    return 0;
  } catch (error) {
    const { code, message, details } = error instanceof CniError ? error : internal(error);
    const cniVersion =
      isJsonObject(config) && typeof config['cniVersion'] === 'string'
        ? { cniVersion: config['cniVersion'] }
        : {};
    print({ ...cniVersion, code, msg: message, ...(details === '' ? {} : { details }) });
    return 1;
  }
}

function internal(error: unknown): CniError {
  return new CniError(CniCode.Internal, messageOf(error));
}

function print(object: JsonObject): void {
  writeAll(`${JSON.stringify(object, null, 4)}\n`);
}

/** A pipe takes what it has room for. */
function writeAll(text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
}

function parseStdin(): unknown {
  let text: string;
  try {
    text = readFileSync(0, 'utf8');
  } catch (error) {
    throw new CniError(CniCode.IoFailure, `error reading from stdin: ${messageOf(error)}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CniError(CniCode.DecodeFailure, `error unmarshall network config: ${messageOf(error)}`);
  }
}

function placeOf(registry: Registry): Parameters<typeof createContext>[1] {
  return {
    registry,
    hints: {},
    runExecutable,
    askLeaseKeeper: askDaemon,
    log: (line) => void writeSync(2, `${line}\n`),
    onRemain: () => undefined,
    onStep: () => undefined,
  };
}

/** The most that a delegated executable may print. */
const MAX_OUTPUT = 4 * 1024 * 1024;

function runExecutable(request: PluginRequest): ExecutableReply {
  const provider = request.type.includes('/') ? undefined : find(request.type, request.path);
  if (provider === undefined) {
    const message = `failed to find plugin "${request.type}" in path [${request.path.join(' ')}]`;
    return { outcome: { error: new CniError(CniCode.Internal, message) }, provider: '', stderr: '' };
  }
  const { status, signal, stdout, stderr, error } = spawnSync(provider, [], {
    input: JSON.stringify(request.config),
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT,
    env: { ...process.env, ...delegateEnvironment(request) },
  });
  if (stderr !== '') writeSync(2, stderr);
  if (error !== undefined) return { outcome: { error: internal(error) }, provider, stderr };
  return { outcome: outcomeOf(status ?? `signal ${signal ?? '?'}`, stdout, stderr), provider, stderr };
}

function find(type: string, path: readonly string[]): string | undefined {
  return path
    .map((directory) => `${directory}/${type}`)
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

function delegateEnvironment(request: PluginRequest): Record<string, string> {
  return {
    CNI_COMMAND: request.verb,
    CNI_CONTAINERID: request.containerId,
    CNI_NETNS: request.netns,
    CNI_IFNAME: request.ifName,
    CNI_ARGS: request.args,
    CNI_PATH: request.path.join(':'),
  };
}

function outcomeOf(status: number | string, stdout: string, stderr: string): ExecutableReply['outcome'] {
  const output = parseOutput(stdout);
  if (status === 0 && output !== 'garbage') return { output };
  if (isJsonObject(output)) {
    const { code, msg, details } = output;
    const text = typeof msg === 'string' ? msg : 'netplugin failed with no error message';
    const number = typeof code === 'number' && code !== 0 ? code : CniCode.Internal;
    return { error: new CniError(number, text, typeof details === 'string' ? details : '') };
  }
  if (status === 0) return { error: new CniError(CniCode.DecodeFailure, `netplugin printed invalid JSON`) };
  const cause =
    stderr.trim() === ''
      ? `netplugin failed with no error message: exit status ${status}`
      : `netplugin failed: ${stderr.trim()}`;
  return { error: new CniError(CniCode.Internal, cause) };
}

function parseOutput(stdout: string): unknown {
  if (stdout.trim() === '') return undefined;
  try {
    return JSON.parse(stdout);
  } catch {
    return 'garbage';
  }
}
