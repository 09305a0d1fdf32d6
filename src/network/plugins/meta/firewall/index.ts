/** firewall: lets a container's traffic through a host that forwards nothing by default. See README.md. */
import type { Result } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import type { Plugin, PluginArgs } from '../../plugin.ts';
import { isFirewalldRunning, keys, parseConf, unknownKey } from './conf.ts';
import { allow, check as checkRules, disallow } from './rules.ts';

/** How long it is believed that firewalld runs, or does not: to look goes through all processes. */
const BELIEVED_MS = 10_000;

/** The plugin, with a memory of whether firewalld runs. */
export function createFirewall(isRunning: () => boolean = isFirewalldRunning): Plugin {
  const runsFirewalld = remembered(isRunning, BELIEVED_MS);
  return {
    type: 'firewall',
    since: '0.4.0',
    keys,
    unknownKey: (config) => unknownKey(config, runsFirewalld),
    add,
    del,
    check,
  };
}

function remembered(ask: () => boolean, forMs: number): () => boolean {
  let known: { readonly value: boolean; readonly at: number } | undefined;
  return () => {
    const now = performance.now();
    if (known === undefined || now - known.at > forMs) known = { value: ask(), at: now };
    return known.value;
  };
}

function add({ config, prevResult }: PluginArgs): Result {
  const conf = parseConf(config);
  if (prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  allow(conf, prevResult);
  return prevResult;
}

/** Rules carry an address and nothing else: without a previous result there is nothing to find them by. */
function del({ config, prevResult }: PluginArgs): void {
  parseConf(config);
  if (prevResult !== undefined) disallow(prevResult);
}

function check({ config, prevResult }: PluginArgs): void {
  const conf = parseConf(config);
  if (prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  checkRules(conf, prevResult);
}
