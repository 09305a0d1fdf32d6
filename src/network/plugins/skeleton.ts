/**
 * What every plugin does before and after its own work: the protocol's environment and stdin checked, versions converted,
 * errors given codes. Codes and texts are those of the reference skeleton (CNI specification 1.1.0, sections 2 and 5).
 */
import { statSync } from 'node:fs';
import { ThreadPoisonedError } from '../../kernel/threads/job.ts';
import { messageOf } from '../../lib/errors.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { CniCode, CniError, type Result, type Verb } from '../cni/types.ts';
import { fromResult, toResult } from '../cni/versions/convert.ts';
import {
  CURRENT_VERSION,
  isAtLeast,
  parseVersion,
  SUPPORTED_VERSIONS,
  VERSION_WHEN_EMPTY,
} from '../cni/versions/versions.ts';
import { key } from './config.ts';
import type { Plugin, PluginArgs, PluginContext } from './plugin.ts';

/** The CNI_ variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface VerbRules {
  /** Variables that must be set and not empty. */
  readonly required: readonly string[];
  /** The first configuration version that knows the verb. */
  readonly since: string;
}

type PluginVerb = Exclude<Verb, 'VERSION'>;

const attachmentVariables = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'];

const verbs: Readonly<Record<PluginVerb, VerbRules>> = {
  ADD: { required: attachmentVariables, since: VERSION_WHEN_EMPTY },
  DEL: { required: attachmentVariables.filter((name) => name !== 'CNI_NETNS'), since: VERSION_WHEN_EMPTY },
  CHECK: { required: attachmentVariables, since: '0.4.0' },
  GC: { required: ['CNI_PATH'], since: '1.1.0' },
  STATUS: { required: ['CNI_PATH'], since: '1.1.0' },
};

function isPluginVerb(command: string): command is PluginVerb {
  return Object.hasOwn(verbs, command);
}

/** Calls the plugin's function for a verb; that it has none for GC or STATUS is success. */
export function callVerb(
  plugin: Plugin,
  verb: PluginVerb,
  args: PluginArgs,
  context: PluginContext,
): Result | undefined {
  switch (verb) {
    case 'ADD':
      return plugin.add(args, context);
    case 'DEL':
      plugin.del(args, context);
      return undefined;
    case 'CHECK':
      plugin.check(args, context);
      return undefined;
    case 'GC':
      plugin.gc?.(args, context);
      return undefined;
    case 'STATUS':
      plugin.status?.(args, context);
      return undefined;
  }
}

/**
 * Runs one plugin for one call of the protocol. readConfig is asked for the parsed stdin once the environment is known to be
 * good. Returns the object to print, undefined when there is nothing to print. Throws CniError only.
 */
export function runPlugin(
  plugin: Plugin,
  environment: Environment,
  readConfig: () => unknown,
  context: PluginContext,
): JsonObject | undefined {
  const command = checkEnvironment(environment);
  if (command === 'VERSION') return { cniVersion: CURRENT_VERSION, supportedVersions: versionsOf(plugin) };
  if (!isPluginVerb(command)) {
    throw new CniError(CniCode.InvalidEnvironment, `unknown CNI_COMMAND: ${command}`);
  }
  const config = checkConfig(readConfig());
  const version = checkVersion(config, command, versionsOf(plugin));
  const args = pluginArgs(environment, config, version);
  if (command === 'ADD' || command === 'DEL')
    refuseOwnNamespace(args.netns, environment['CNI_NETNS_OVERRIDE']);
  const result = asCniError(() => callVerb(plugin, command, args, context));
  return result === undefined ? undefined : fromResult(result, version);
}

/** Runs something and turns whatever is no CniError into code 999, as the reference skeleton does; save a poisoned thread. */
export function asCniError<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof CniError || error instanceof ThreadPoisonedError) throw error;
    throw new CniError(CniCode.Internal, messageOf(error));
  }
}

function checkEnvironment(environment: Environment): string {
  const command = environment['CNI_COMMAND'] ?? '';
  const required = isPluginVerb(command) ? verbs[command].required : [];
  for (const name of required) {
    const value = environment[name] ?? '';
    if (value !== '') checks[name]?.(value);
  }
  const missing = ['CNI_COMMAND', ...required].filter((name) => (environment[name] ?? '') === '');
  if (missing.length > 0) {
    throw new CniError(CniCode.InvalidEnvironment, `required env variables [${missing.join(',')}] missing`);
  }
  return command;
}

const checks: Readonly<Record<string, (value: string) => void>> = {
  CNI_CONTAINERID: checkContainerId,
  CNI_IFNAME: checkInterfaceName,
};

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

function checkContainerId(id: string): void {
  if (!NAME.test(id)) {
    throw new CniError(CniCode.InvalidEnvironment, 'invalid characters in containerID', id);
  }
}

const INTERFACE_NAME_BYTES = 15;

function checkInterfaceName(name: string): void {
  const refuse = (problem: string, details = ''): never => {
    throw new CniError(CniCode.InvalidEnvironment, `interface name ${problem}`, details);
  };
  if (Buffer.byteLength(name) > INTERFACE_NAME_BYTES) {
    refuse('is too long', `interface name should be less than ${INTERFACE_NAME_BYTES + 1} characters`);
  }
  if (name === '.' || name === '..') refuse('is . or ..');
  if (/[/:\s]/u.test(name)) refuse('contains / or : or whitespace characters');
}

function checkConfig(config: unknown): JsonObject {
  if (!isJsonObject(config)) {
    throw new CniError(CniCode.DecodeFailure, 'error unmarshall network config: not a JSON object');
  }
  const name = key(config, 'name') ?? '';
  if (typeof name !== 'string') {
    throw new CniError(CniCode.DecodeFailure, 'error unmarshall network config: name must be a string');
  }
  if (name === '') throw new CniError(CniCode.InvalidNetworkConfig, 'missing network name');
  if (!NAME.test(name)) {
    throw new CniError(CniCode.InvalidNetworkConfig, 'invalid characters found in network name', name);
  }
  return config;
}

/** The versions of the specification that the plugin serves, oldest first. */
export function versionsOf({ since = VERSION_WHEN_EMPTY }: Plugin): string[] {
  return SUPPORTED_VERSIONS.filter((version) => isAtLeast(version, since));
}

function checkVersion(config: JsonObject, command: PluginVerb, versions: readonly string[]): string {
  const given = key(config, 'cniVersion') ?? '';
  if (typeof given !== 'string') {
    throw new CniError(
      CniCode.DecodeFailure,
      'decoding version from network config: cniVersion must be a string',
    );
  }
  const version = given === '' ? VERSION_WHEN_EMPTY : given;
  const { since } = verbs[command];
  if (since !== VERSION_WHEN_EMPTY) checkAge(version, command, since, versions);
  if (!versions.includes(version)) {
    const supported = versions.map((each) => `"${each}"`).join(' ');
    const details = `config is "${version}", plugin supports [${supported}]`;
    throw new CniError(CniCode.IncompatibleVersion, 'incompatible CNI versions', details);
  }
  return version;
}

/** Verbs that came later: they need a configuration and a plugin that know them. */
function checkAge(version: string, command: PluginVerb, since: string, versions: readonly string[]): void {
  try {
    parseVersion(version);
  } catch (error) {
    throw new CniError(CniCode.DecodeFailure, messageOf(error));
  }
  const refuse = (who: string): CniError =>
    new CniError(CniCode.IncompatibleVersion, `${who} version does not allow ${command}`);
  if (!isAtLeast(version, since)) throw refuse('config');
  if (!versions.some((each) => isAtLeast(each, version))) throw refuse('plugin');
}

function pluginArgs(environment: Environment, config: JsonObject, version: string): PluginArgs {
  const previous = key(config, 'prevResult');
  return {
    containerId: environment['CNI_CONTAINERID'] ?? '',
    netns: environment['CNI_NETNS'] ?? '',
    ifName: environment['CNI_IFNAME'] ?? '',
    args: environment['CNI_ARGS'] ?? '',
    path: (environment['CNI_PATH'] ?? '').split(':').filter((directory) => directory !== ''),
    config,
    prevResult: previous === undefined ? undefined : parsePrevious(previous, version),
  };
}

function parsePrevious(previous: unknown, version: string): Result {
  try {
    return toResult(previous, version);
  } catch (error) {
    const code = error instanceof CniError ? error.code : CniCode.DecodeFailure;
    throw new CniError(code, `could not parse prevResult: ${messageOf(error)}`);
  }
}

/**
 * ADD and DEL on the namespace that the plugin itself runs in would rework the host's own network. The reference skeleton
 * looks only after the work; looking before costs two stat calls.
 */
function refuseOwnNamespace(netns: string, override = ''): void {
  if (netns === '' || override === '1' || override.toLowerCase() === 'true') return;
  const theirs = statSync(netns, { throwIfNoEntry: false });
  const ours = statSync('/proc/thread-self/ns/net');
  if (theirs?.ino === ours.ino && theirs.dev === ours.dev) {
    const message = "plugin's netns and netns from CNI_NETNS should not be the same";
    throw new CniError(CniCode.InvalidNetns, message);
  }
}
