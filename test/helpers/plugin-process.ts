import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { withNetns } from '../../src/kernel/thread-namespaces.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import type { Hints } from '../../src/network/cni/invoke/invoke.ts';
import { CniError, type Verb } from '../../src/network/cni/types.ts';
import { createContext } from '../../src/network/plugins/context.ts';
import { createRegistry } from '../../src/network/plugins/registry.ts';
import { runPlugin } from '../../src/network/plugins/skeleton.ts';
import type { TestNode } from './node.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** Where the executables of the reference plugins are: those of Debian 12, 1.1, unless others are to be compared with. */
export const referencePlugins = process.env['BERTH_REFERENCE_PLUGINS'] ?? '/usr/lib/cni';

/** Whether they are those of a release that has tap and dummy, 1.3 or newer. */
export function areReferencePluginsLater(): boolean {
  return existsSync(join(referencePlugins, 'tap'));
}

/** Who serves a plugin: Berth as an executable, or the reference executable. */
export type Provider = 'berth' | 'reference';
export const providers: readonly Provider[] = ['berth', 'reference'];
export const otherOf: Readonly<Record<Provider, Provider>> = { berth: 'reference', reference: 'berth' };

/** As Provider, and Berth as it runs inside the daemon. */
export type Form = Provider | 'in-process';

export interface PluginCall {
  readonly verb: Verb;
  readonly type: string;
  readonly config: JsonObject;
  readonly containerId?: string;
  /** Path of the container's namespace. */
  readonly netns: string;
  readonly ifName?: string;
  readonly args?: string;
  /** In-process only. */
  readonly hints?: Hints;
}

export interface PluginAnswer {
  readonly exitCode: number;
  /** What was printed on stdout. */
  readonly output: JsonObject | undefined;
  readonly stderr: string;
}

function environmentOf(call: PluginCall): Record<string, string> {
  return {
    CNI_COMMAND: call.verb,
    CNI_CONTAINERID: call.containerId ?? 'c1',
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifName ?? 'eth0',
    CNI_ARGS: call.args ?? '',
    CNI_PATH: referencePlugins,
  };
}

/** Calls a plugin by the protocol, on a node of its own so that the machine's rules and links stay as they are. */
export async function callPlugin(node: TestNode, form: Form, call: PluginCall): Promise<PluginAnswer> {
  if (form === 'in-process') return callInProcess(node, call);
  const plugin =
    form === 'berth' ? [process.execPath, main, 'cni', call.type] : [`${referencePlugins}/${call.type}`];
  const [file, args] = node.command(...plugin);
  const { exitCode, stdout, stderr } = await execa(file, args, {
    input: JSON.stringify(call.config),
    reject: false,
    env: environmentOf(call),
  });
  const output = stdout.trim() === '' ? undefined : (JSON.parse(stdout) as JsonObject);
  return { exitCode: exitCode ?? -1, output, stderr };
}

/** What a worker thread of the daemon does, on this thread; plugins that are delegated to are built in too. */
function callInProcess(node: TestNode, call: PluginCall): PluginAnswer {
  const registry = createRegistry();
  const plugin = registry.get(call.type);
  if (plugin === undefined) throw new Error(`no built-in plugin "${call.type}"`);
  const lines: string[] = [];
  const context = createContext(call.type, {
    registry,
    hints: call.hints ?? {},
    runExecutable: ({ type }) => {
      throw new Error(`${call.type} called the executable of ${type}`);
    },
    log: (line) => void lines.push(line),
    onRemain: () => undefined,
    onStep: () => undefined,
  });
  try {
    const output = withNetns(node.path, () =>
      runPlugin(
        plugin,
        environmentOf(call),
        () => JSON.parse(JSON.stringify(call.config)) as unknown,
        context,
      ),
    );
    return { exitCode: 0, output, stderr: lines.join('\n') };
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    const { code, message: msg, details } = error;
    return { exitCode: 1, output: { code, msg, details }, stderr: lines.join('\n') };
  }
}

/** As callPlugin, and fails with what the plugin said unless it succeeds. */
export async function callWell(
  node: TestNode,
  form: Form,
  call: PluginCall,
): Promise<JsonObject | undefined> {
  const { exitCode, output, stderr } = await callPlugin(node, form, call);
  if (exitCode !== 0)
    throw new Error(`${form} ${call.type} ${call.verb}: ${JSON.stringify(output)} ${stderr}`);
  return output;
}
