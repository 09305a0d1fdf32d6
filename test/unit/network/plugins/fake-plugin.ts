import type { JsonObject } from '../../../../src/lib/json.ts';
import type { Result, Verb } from '../../../../src/network/cni/types.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../../../src/network/plugins/plugin.ts';

/** A call that a fake plugin or context was given. */
export interface Call {
  readonly verb: Verb;
  readonly type: string;
  readonly args: PluginArgs;
}

export const someResult: Result = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }],
  ips: [{ interface: 0, address: '10.1.0.5/16', gateway: '10.1.0.1' }],
  routes: [{ dst: '0.0.0.0/0', table: 100 }],
  dns: {},
};

/** A plugin that records its calls, and fails with what `fail` throws. */
export function fakePlugin(type: string, calls: Call[], fail: () => void = () => undefined): Plugin {
  const record =
    (verb: Verb) =>
    (args: PluginArgs): void => {
      calls.push({ verb, type, args });
      fail();
    };
  return {
    type,
    keys: {},
    unknownKey: (config: JsonObject) => ('strange' in config ? 'strange' : undefined),
    add: (args) => {
      record('ADD')(args);
      return someResult;
    },
    del: record('DEL'),
    check: record('CHECK'),
    gc: record('GC'),
    status: record('STATUS'),
  };
}

/** A context whose delegates are recorded and answered by `answer`. */
export function fakeContext(
  calls: Call[],
  answer: (call: Call) => Result | undefined = ({ verb }) => (verb === 'ADD' ? someResult : undefined),
): PluginContext & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    hints: {},
    askLeaseKeeper: () => ({}),
    log: (line) => void lines.push(line),
    collect: (remains, remove) => {
      if (remains.length > 0) remove();
      for (const { what, containerId } of remains) lines.push(`removed ${what} of ${containerId}`);
    },
    leave: ({ what, containerId }) => void lines.push(`left ${what} of ${containerId}`),
    delegate: (type, verb, args) => {
      const call = { verb, type, args };
      calls.push(call);
      return answer(call);
    },
  };
}

/** Arguments as the skeleton makes them. */
export function pluginArgs(config: JsonObject, more: Partial<PluginArgs> = {}): PluginArgs {
  return {
    containerId: 'c1',
    netns: '/run/netns/x',
    ifName: 'eth0',
    args: '',
    path: [],
    config: { cniVersion: '1.1.0', name: 'net', ...config },
    prevResult: undefined,
    ...more,
  };
}
