import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { JsonObject } from '../../src/lib/json.ts';
import type { Verb } from '../../src/network/cni/types.ts';
import type { TestNode } from './node.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** Where the executables of the reference plugins are. */
export const referencePlugins = '/usr/lib/cni';

/** Who serves a plugin: Berth as an executable, or the reference executable. */
export type Provider = 'berth' | 'reference';
export const providers: readonly Provider[] = ['berth', 'reference'];
export const otherOf: Readonly<Record<Provider, Provider>> = { berth: 'reference', reference: 'berth' };

export interface PluginCall {
  readonly verb: Verb;
  readonly type: string;
  readonly config: JsonObject;
  readonly containerId?: string;
  /** Path of the container's namespace. */
  readonly netns: string;
  readonly ifName?: string;
  readonly args?: string;
}

export interface PluginAnswer {
  readonly exitCode: number;
  /** What was printed on stdout. */
  readonly output: JsonObject | undefined;
  readonly stderr: string;
}

/** Calls a plugin by the protocol, on a node of its own so that the machine's rules and links stay as they are. */
export async function callPlugin(
  node: TestNode,
  provider: Provider,
  call: PluginCall,
): Promise<PluginAnswer> {
  const plugin =
    provider === 'berth' ? [process.execPath, main, 'cni', call.type] : [`${referencePlugins}/${call.type}`];
  const [file, args] = node.command(...plugin);
  const { exitCode, stdout, stderr } = await execa(file, args, {
    input: JSON.stringify(call.config),
    reject: false,
    env: {
      CNI_COMMAND: call.verb,
      CNI_CONTAINERID: call.containerId ?? 'c1',
      CNI_NETNS: call.netns,
      CNI_IFNAME: call.ifName ?? 'eth0',
      CNI_ARGS: call.args ?? '',
      CNI_PATH: referencePlugins,
    },
  });
  const output = stdout.trim() === '' ? undefined : (JSON.parse(stdout) as JsonObject);
  return { exitCode: exitCode ?? -1, output, stderr };
}

/** As callPlugin, and fails with what the plugin said unless it succeeds. */
export async function callWell(
  node: TestNode,
  provider: Provider,
  call: PluginCall,
): Promise<JsonObject | undefined> {
  const { exitCode, output, stderr } = await callPlugin(node, provider, call);
  if (exitCode !== 0)
    throw new Error(`${provider} ${call.type} ${call.verb}: ${JSON.stringify(output)} ${stderr}`);
  return output;
}
