/** flannel: completes the configuration of another plugin by what flanneld says of this node. See README.md. */
import { messageOf } from '../../../../lib/errors.ts';
import type { JsonObject } from '../../../../lib/json.ts';
import { CniCode, CniError, type PluginConf, type Result } from '../../../cni/types.ts';
import { validAttachments } from '../../attachments.ts';
import { failure, ifValid, key } from '../../config.ts';
import type { Describing, PluginFacts } from '../../facts.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { dataDirOf, type FlannelConf, keys, parseConf, renderDelegate, unknownKey } from './conf.ts';
import { quarantineScratch, readScratch, removeScratch, scratchFiles, writeScratch } from './scratch.ts';
import { loadSubnetEnv } from './subnet-env.ts';

export const flannel: Plugin = { type: 'flannel', keys, unknownKey, add, del, check, gc, status, describe };

function render(config: JsonObject, conf: FlannelConf): PluginConf {
  return renderDelegate(config, conf, loadSubnetEnv(conf.subnetFile));
}

/** The previous result stays out: flannel begins a chain. */
function add(args: PluginArgs, context: PluginContext): Result {
  const conf = parseConf(args.config);
  const delegate = render(args.config, conf);
  context.log(JSON.stringify(delegate));
  writeScratch(conf.dataDir, args.containerId, delegate);
  const result = context.delegate(delegate.type, 'ADD', { ...args, config: delegate, prevResult: undefined });
  if (result === undefined) throw failure(`delegate "${delegate.type}" returned no result`);
  return result;
}

/**
 * The scratch file goes only after the delegate's DEL has succeeded: a DEL that failed must find it again. A file that cannot
 * be read is put aside, and the configuration is rendered anew, which is the same unless the node's subnet has changed.
 */
function del(args: PluginArgs, context: PluginContext): void {
  const dataDir = ifValid(() => dataDirOf(args.config));
  if (dataDir === undefined) return;
  const scratch = readScratch(dataDir, args.containerId);
  if (scratch.state === 'absent') return;
  const delegate =
    scratch.state === 'good' ? scratch.conf : renderAnew(args, dataDir, scratch.problem, context);
  const config = withPrevious(delegate, args.config);
  context.delegate(delegate.type, 'DEL', { ...args, config });
  removeScratch(dataDir, args.containerId);
}

/** The file is put aside once there is another one: until then the DEL is owed, as the address may be reserved. */
function renderAnew(args: PluginArgs, dataDir: string, problem: string, context: PluginContext): PluginConf {
  const what = `failed to read the scratch file of container "${args.containerId}": ${problem}`;
  let delegate: PluginConf;
  try {
    delegate = render(args.config, parseConf(args.config));
  } catch (error) {
    throw failure(`${what}; failed to render its configuration anew: ${messageOf(error)}`);
  }
  const path = quarantineScratch(dataDir, args.containerId);
  context.log(`${what}; it is kept as ${path}`);
  writeScratch(dataDir, args.containerId, delegate);
  return delegate;
}

/** Our result is the delegate's own, so the previous result is its previous result too. */
function withPrevious(delegate: PluginConf, config: JsonObject): PluginConf {
  const prevResult = key(config, 'prevResult');
  return prevResult === undefined ? delegate : { ...delegate, prevResult };
}

/** As in the reference plugin there is nothing of flannel's own to look at. */
function check(): void {
  return undefined;
}

/** Passes the valid attachments on to the delegate. */
function gc(args: PluginArgs, context: PluginContext): void {
  const delegate = render(args.config, parseConf(args.config));
  const listed = Object.entries(args.config).filter(([name]) => name.startsWith('cni.dev/'));
  context.delegate(delegate.type, 'GC', { ...args, config: { ...delegate, ...Object.fromEntries(listed) } });
  collectScratch(args, context);
}

/**
 * Files of containers that the runtime does not list, of this network: what they were kept for the delegate has just freed. One that
 * cannot be read may be another network's.
 */
function collectScratch(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined) return;
  const dataDir = dataDirOf(args.config);
  const kept = new Set(valid.map(({ containerId }) => containerId));
  for (const containerId of scratchFiles(dataDir).filter((name) => !kept.has(name))) {
    const scratch = readScratch(dataDir, containerId);
    const remain = { what: 'scratch file of flannel', containerId, ifName: '' };
    if (scratch.state === 'unreadable') context.leave({ ...remain, what: `unreadable ${remain.what}` });
    else if (scratch.state === 'good' && scratch.conf['name'] === args.config['name'])
      context.collect([remain], () => removeScratch(dataDir, containerId));
  }
}

/** NotAvailable (50) until flanneld has written its file; then what the delegate says. */
function status(args: PluginArgs, context: PluginContext): void {
  const conf = parseConf(args.config);
  let delegate: PluginConf;
  try {
    delegate = render(args.config, conf);
  } catch (error) {
    throw new CniError(CniCode.NotAvailable, messageOf(error));
  }
  context.delegate(delegate.type, 'STATUS', { ...args, config: delegate });
}

/** The delegate's, of the subnet that this node has now. */
function describe(config: JsonObject, describing: Describing): PluginFacts {
  return describing.describe(render(config, parseConf(config)));
}
