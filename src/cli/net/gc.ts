import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { json, table } from '../table.ts';
import { reportFailures } from './failures.ts';
import { objectsOf, stringOf, stringsOf } from './fields.ts';

export const command = defineCommand({
  name: 'net gc',
  summary: 'Collect what is left of attachments whose pod is gone',
  arity: [0, 0],
  options: {
    ...clientOptions,
    'dry-run': { type: 'boolean', help: 'only show what would be collected' },
  },
  details: `Only attachments of this Berth are collected, by a full DEL and then GC of the plugins. What others left is listed as
foreign. The built-in plugins also look for reservations, rules, links and files of attachments that are gone; plugin executables only when the
network is of CNI 1.1.0. The same is done once an hour, and when a range of addresses is exhausted.`,
  async run(values, _positionals, context) {
    using client = await connect(values, context);
    const answer = await client.collectGarbage(values['dry-run']);
    const networks = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
    context.stdout(values.json ? json(answer) : garbageTable(networks, values['dry-run']));
    return reportFailures(networks, context);
  },
});

/** One row for each attachment, for each thing that was left of others, and for each network that had none. */
export function garbageTable(networks: readonly JsonObject[], dryRun: boolean): string {
  const rows = networks.flatMap((network) => {
    const name = stringOf(network['network']);
    const row =
      (verdict: string) =>
      (key: JsonObject): string[] => [name, stringOf(key['containerId']), stringOf(key['ifName']), verdict];
    const collected = dryRun ? 'would be collected' : 'collected';
    const error = stringOf(network['error']);
    const found = [
      ...objectsOf(network['orphans']).map(row(collected)),
      ...objectsOf(network['failed']).map(row('failed, tried again later')),
      ...objectsOf(network['foreign']).map(row('foreign, left alone')),
      ...objectsOf(network['remains']).map((remain) => {
        const verdict = remain['verdict'] === 'stale' ? collected : 'foreign, left alone';
        return row(`${verdict}: ${stringOf(remain['what'])}`)(remain);
      }),
      ...stringsOf(network['unreadable']).map((file) => [
        name,
        '',
        '',
        `cache file ${file} is unreadable, left alone`,
      ]),
      ...(error === '' ? [] : [[name, '', '', `failed: ${error}`]]),
    ];
    return found.length === 0 ? [[name, '', '', 'clean']] : found;
  });
  return rows.length === 0 ? 'no networks\n' : table(['NETWORK', 'CONTAINER', 'INTERFACE', 'VERDICT'], rows);
}
