import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { indent, json, printable, table } from '../table.ts';
import { reportFailures } from './failures.ts';
import { numberOf, objectsOf, stringOf, stringsOf } from './fields.ts';

export const command = defineCommand({
  name: 'net test',
  summary: 'Attach a throw-away namespace to the networks, check it and take it down',
  arity: [0, 0],
  options: clientOptions,
  details: 'Exits with 1 when a plugin fails. No pod is made, and nothing is left behind.',
  async run(values, _positionals, context) {
    using client = await connect(values, context);
    const answer = await client.testNetworks();
    const trials = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
    context.stdout(values.json ? json(answer) : trials.map(trialText).join('\n'));
    return reportFailures(trials, context);
  },
});

/** One network: what became of it, and each plugin's part. */
export function trialText(trial: JsonObject): string {
  const error = stringOf(trial['error']);
  const addresses = stringsOf(trial['addresses']).join(', ') || 'no address';
  const head = `${stringOf(trial['network'])}: ${error === '' ? `works, ${addresses}` : 'failed'}\n`;
  const rows = objectsOf(trial['steps']).map((step) => [
    stringOf(step['verb']),
    stringOf(step['plugin']),
    `${(numberOf(step['durationMs']) ?? 0).toFixed(1)} ms`,
    step['error'] === undefined ? 'ok' : 'failed',
    stringOf(step['provider']) || 'not found',
  ]);
  const steps = rows.length === 0 ? '' : indent(table(['VERB', 'PLUGIN', 'TOOK', 'OUTCOME', 'BY'], rows));
  return `${head}${steps}${error === '' ? '' : indent(`${printable(error)}\n`)}`;
}
