/** firewall: lets a container's traffic through a host that forwards nothing by default. See README.md. */
import type { Result } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import type { Plugin, PluginArgs } from '../../plugin.ts';
import { isFirewalldRunning, keys, parseConf, unknownKey } from './conf.ts';
import { allow, check as checkRules, disallow } from './rules.ts';

export const firewall: Plugin = {
  type: 'firewall',
  since: '0.4.0',
  keys,
  unknownKey: (config) => unknownKey(config, isFirewalldRunning),
  add,
  del,
  check,
};

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
