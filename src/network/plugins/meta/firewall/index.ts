/** firewall: lets a container's traffic through a host that forwards nothing by default. See README.md. */
import { systemBusAddress } from '../../../../kernel/dbus/address.ts';
import type { BusOptions } from '../../../../kernel/dbus/bus.ts';
import type { Result } from '../../../cni/types.ts';
import { failure, firstUnknownKey, ifValid } from '../../config.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { tryAll } from '../../undo.ts';
import { type FirewallConf, keys, parseConf, parsePlace } from './conf.ts';
import { Firewalld } from './firewalld.ts';
import { allow, check as checkRules, disallow, isolate } from './rules.ts';
import { checkZone, enterZone, leaveZone } from './zones.ts';

/** firewalld answers in some 10 ms, and not at all while it reloads. */
const TIMEOUT_MS = 20_000;

function systemBus(): BusOptions {
  return { address: systemBusAddress(), timeoutMs: TIMEOUT_MS };
}

/** The plugin; `bus` says where firewalld is looked for. */
export function createFirewall(bus: () => BusOptions = systemBus): Plugin {
  return {
    type: 'firewall',
    since: '0.4.0',
    keys,
    unknownKey: (config) => firstUnknownKey(config, keys),
    add: (args, context) => add(args, context, bus()),
    del: (args) => del(args, bus()),
    check: (args) => check(args, bus()),
  };
}

function add({ config, prevResult }: PluginArgs, context: PluginContext, bus: BusOptions): Result {
  const conf = parseConf(config);
  if (prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  using firewalld = openFor(conf, bus);
  if (firewalld === undefined) allow(conf, prevResult);
  else enterZone(firewalld, conf.zone, prevResult, context, () => isolate(conf, prevResult));
  return prevResult;
}

/** Rules and sources carry an address and nothing else: without a previous result there is nothing to find them by. */
function del({ config, prevResult }: PluginArgs, bus: BusOptions): void {
  const place = ifValid(() => parsePlace(config));
  if (place === undefined || prevResult === undefined) return;
  const { backend, zone } = place;
  // What runs here may have changed since the ADD.
  tryAll(
    () => {
      if (backend !== 'firewalld') disallow(prevResult);
    },
    () => {
      if (backend !== 'iptables') leave(zone, prevResult, bus);
    },
  );
}

/** Without a firewalld there are no zones to leave. */
function leave(zone: string, result: Result, bus: BusOptions): void {
  using firewalld = Firewalld.openIfRunning(bus);
  if (firewalld !== undefined) leaveZone(firewalld, zone, result);
}

function check({ config, prevResult }: PluginArgs, bus: BusOptions): void {
  const conf = parseConf(config);
  if (prevResult === undefined) throw failure('missing prevResult from earlier plugin');
  using firewalld = openFor(conf, bus);
  if (firewalld === undefined) checkRules(conf, prevResult);
  else checkZone(firewalld, conf.zone, prevResult);
}

/** Undefined when iptables is to be used: asked for, or because no firewalld runs here. */
function openFor({ backend }: FirewallConf, bus: BusOptions): Firewalld | undefined {
  switch (backend) {
    case 'iptables':
      return undefined;
    case 'firewalld':
      return Firewalld.open(bus);
    case 'running':
      return Firewalld.openIfRunning(bus);
  }
}
