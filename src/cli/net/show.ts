import type { RuntimeCondition__Output } from '../../gen/runtime/v1/RuntimeCondition.ts';
import type { StatusResponse__Output } from '../../gen/runtime/v1/StatusResponse.ts';
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit } from '../exit.ts';
import { parsedInfo } from '../info.ts';
import { facts, json, table } from '../table.ts';
import { drawNetwork } from './drawing.ts';
import { numberOf, objectOf, objectsOf, stringOf } from './fields.ts';

export const command = defineCommand({
  name: 'net show',
  summary: 'Show the networks, what is on them, and whether pods can get addresses',
  arity: [0, 0],
  options: { ...clientOptions, all: { type: 'boolean', help: 'draw long lists to their end' } },
  details: `Draws each network with its bridge, pods, host ports and addresses, and says what is wrong with it. With --json:
{"conditions": [...], "network": ..., "lastCNILoadStatus": ..., "debts": [...]} from a verbose Status, and "networks": [...].`,
  async run(values, _positionals, context) {
    using client = await connect(values, context);
    const answer = await client.status();
    const info = parsedInfo(answer.info);
    const { network, lastCNILoadStatus, debts } = info;
    const networks = await client.showNetworks();
    const conditions = conditionsOf(answer);
    if (values.json) {
      context.stdout(json({ conditions, network, lastCNILoadStatus, debts, networks }));
    } else {
      const drawn = objectsOf(networks).map((each) => drawNetwork(each, values.all));
      context.stdout([overview(conditions, info), ...drawn].join('\n'));
    }
    return Exit.ok;
  },
});

function conditionsOf(answer: StatusResponse__Output): readonly RuntimeCondition__Output[] {
  return answer.status?.conditions ?? [];
}

/** Readiness, then each directory with its networks and files, then what is owed. */
export function overview(
  conditions: readonly RuntimeCondition__Output[],
  info: Readonly<Record<string, unknown>>,
): string {
  const debts = objectsOf(info['debts']);
  const sections = [
    facts(conditions.map((condition) => [condition.type, readiness(condition)])),
    ...directories(info['network']).map(directory),
    debts.length === 0 ? '' : `Debts: ${debts.length} (see berth net debts)\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function readiness({ status, reason, message }: RuntimeCondition__Output): string {
  const why = [reason, message].filter((text) => text !== '').join(': ');
  const state = status ? 'yes' : 'no';
  return why === '' ? state : `${state}, ${why}`;
}

/** One directory, or one for each that a runtime handler has of its own. */
function directories(network: unknown): JsonObject[] {
  return isJsonObject(network) ? [network] : objectsOf(network);
}

function directory(dir: JsonObject): string {
  const networks = objectsOf(dir['networks']);
  const files = objectsOf(dir['verdicts']);
  const generation = numberOf(dir['generation']);
  const about = facts([
    ['Handler', stringOf(dir['handler'])],
    [
      'Directory',
      dir['exists'] === false ? `${stringOf(dir['dir'])} (does not exist)` : stringOf(dir['dir']),
    ],
    ['Generation', generation === undefined ? undefined : `${generation}, since ${stringOf(dir['since'])}`],
    ['Error', stringOf(dir['error'])],
    ['Plugins say', pluginStatus(objectOf(dir['status']))],
  ]);
  return `${about}${networkTable(networks)}${fileTable(files)}`;
}

/** What the last STATUS probe found; nothing before the first one. */
function pluginStatus(status: JsonObject): string {
  const at = stringOf(status['at']);
  if (at === '') return '';
  const said =
    status['ok'] === true ? 'ready' : `${stringOf(status['network'])}: ${stringOf(status['error'])}`;
  return `${said} (${at})`;
}

function networkTable(networks: readonly JsonObject[]): string {
  if (networks.length === 0) return '';
  const rows = networks.map((entry, index) => {
    const network = isJsonObject(entry['network']) ? entry['network'] : entry;
    return [
      stringOf(network['name']),
      `eth${index}`,
      stringOf(network['cniVersion']),
      pluginsOf(network),
      stringOf(entry['file']) || stringOf(network['source']),
      stringOf(entry['staleSince']),
    ];
  });
  return `\n${table(['NETWORK', 'INTERFACE', 'CNI', 'PLUGINS', 'FILE', 'STALE SINCE'], rows)}`;
}

function pluginsOf(network: JsonObject): string {
  const plugins = Array.isArray(network['plugins']) ? network['plugins'] : [];
  return plugins.map((plugin) => stringOf(plugin) || stringOf(objectOf(plugin)['type'])).join(', ');
}

function fileTable(files: readonly JsonObject[]): string {
  if (files.length === 0) return '';
  const rows = files.map((file) => [
    stringOf(file['file']),
    stringOf(file['verdict']),
    stringOf(file['reason']),
  ]);
  return `\n${table(['FILE', 'VERDICT', 'REASON'], rows)}`;
}
