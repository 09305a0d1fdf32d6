/** tuning: sysctls of a container's namespace and attributes of its interface. See README.md. */
import { changeLink, findLink, type Link } from '../../../../kernel/netlink/links.ts';
import type { NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import { readSysctl, writeSysctl } from '../../../../kernel/sysctl.ts';
import { withNetns, isNamespace } from '../../../../kernel/thread-namespaces.ts';
import { messageOf } from '../../../../lib/errors.ts';
import type { Result } from '../../../cni/types.ts';
import { validAttachments } from '../../attachments.ts';
import { failure, firstUnknownKey } from '../../config.ts';
import { requirePrevious } from '../../container-link.ts';
import { doing, openIn, requireNetns } from '../../netns.ts';
import type { Plugin, PluginArgs, PluginContext } from '../../plugin.ts';
import { withUndo } from '../../undo.ts';
import { backupPath, backups, isEmpty, readBackup, removeBackup, writeBackup } from './backup.ts';
import { dataDirOf, keys, parseConf, type TuningConf } from './conf.ts';
import { type Attributes, attributesOf, changesTo, mismatch } from './attributes.ts';
import { refuseForbidden } from './allowlist.ts';
import { sysctlName } from './sysctls.ts';

export const tuning: Plugin = {
  type: 'tuning',
  keys,
  unknownKey: (config) => firstUnknownKey(config, keys),
  add,
  del,
  check,
  gc,
};

function add(args: PluginArgs, context: PluginContext): Result {
  const conf = parseConf(args);
  refuseForbidden([...conf.sysctls.keys()]);
  const result = requirePrevious(args);
  requireNetns(args.netns);
  const settings = [...conf.sysctls].map(([name, value]) => [sysctlName(name, args.ifName), value] as const);
  return withUndo(context, (undo) => {
    withNetns(args.netns, () => settings.forEach(([name, value]) => setSysctl(name, value)));
    if (isEmpty(conf.attributes)) return result;
    using socket = openIn(args.netns);
    const link = linkOf(socket, args);
    // Before the change, so that a DEL after a crash finds what to restore.
    writeBackup(backupPath(conf.dataDir, args), attributesOf(link, conf.attributes));
    undo.push(() => restore(args, conf.dataDir));
    doing(`failed to change "${args.ifName}"`, () =>
      socket.request(changeLink(link.index, changesTo(conf.attributes))),
    );
    return withMac(result, args.ifName, conf.attributes.mac);
  });
}

function setSysctl(name: string, value: string): void {
  doing(`failed to set sysctl ${name}`, () => writeSysctl(name, value));
}

function linkOf(socket: NetlinkSocket, { ifName }: PluginArgs): Link {
  const link = findLink(socket, ifName);
  if (link === undefined) throw failure(`failed to get "${ifName}": Link not found`);
  return link;
}

/** The result tells the address that the interface has now. */
function withMac(result: Result, ifName: string, mac: string | undefined): Result {
  if (mac === undefined) return result;
  const interfaces = result.interfaces.map((each) => (each.name === ifName ? { ...each, mac } : each));
  return { ...result, interfaces };
}

/** As the interface was before, as well as that can be done; what fails does not fail the DEL. */
function del(args: PluginArgs, context: PluginContext): void {
  try {
    restore(args, dataDirOf(args.config));
  } catch (error) {
    context.log(`failed to restore "${args.ifName}": ${messageOf(error)}`);
  }
}

/** The backup goes with a restored interface, and with one that is gone: there will be nothing to restore. */
function restore(args: PluginArgs, dataDir: string): void {
  const path = backupPath(dataDir, args);
  const backup = readBackup(path);
  if (backup !== undefined && args.netns !== '' && isNamespace(args.netns)) putBack(args, backup);
  removeBackup(path);
}

function putBack(args: PluginArgs, backup: Attributes): void {
  using socket = openIn(args.netns);
  const link = findLink(socket, args.ifName);
  if (link !== undefined) socket.request(changeLink(link.index, changesTo(backup)));
}

function check(args: PluginArgs): void {
  const conf: TuningConf = parseConf(args);
  requirePrevious(args);
  requireNetns(args.netns);
  for (const [name, wanted] of conf.sysctls) {
    const sysctl = sysctlName(name, args.ifName);
    const current = withNetns(args.netns, () => doing(`failed to read ${sysctl}`, () => readSysctl(sysctl)));
    if (inWords(current) !== inWords(wanted)) {
      throw failure(
        `Error: Tuning configured value of /proc/sys/${sysctl} is ${wanted}, current value is ${current}`,
      );
    }
  }
  using socket = openIn(args.netns);
  const link = findLink(socket, args.ifName);
  if (link === undefined) throw failure(`Cannot find container link ${args.ifName}`);
  const problem = mismatch(link, conf.attributes);
  if (problem !== undefined) throw failure(problem);
}

/** The kernel separates with tabs the numbers that it takes with any white space between them. */
function inWords(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}

/** Backups name an attachment and no network: those of attachments that are not listed are told, and stay. */
function gc(args: PluginArgs, context: PluginContext): void {
  const valid = validAttachments(args.config);
  if (valid === undefined) return;
  const dataDir = dataDirOf(args.config);
  const kept = new Set(valid.map((each) => backupPath(dataDir, each)));
  for (const { path, containerId, ifName } of backups(dataDir)) {
    if (!kept.has(path)) context.leave({ what: 'backup of tuning', containerId, ifName });
  }
}
