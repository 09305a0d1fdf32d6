import type { JsonObject } from '../../lib/json.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit } from '../exit.ts';
import { facts, indent, json, printable, printableLines, table } from '../table.ts';
import { numberOf, objectOf, objectsOf, stringOf, stringsOf } from './fields.ts';

export const command = defineCommand({
  name: 'net explain',
  summary: 'Explain how a pod got its address, or why it got none',
  positionals: 'POD',
  arity: [1, 1],
  options: {
    ...clientOptions,
    verbose: { type: 'boolean', short: 'v', help: "also each plugin's configuration, secrets masked" },
  },
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. Pods that failed to start are explained for an hour, and those that
are being started show what they wait for.`,
  async run(values, [pod = ''], context) {
    using client = await connect(values, context);
    const answer = await client.explain(pod);
    context.stdout(values.json ? json(answer) : explanation(objectOf(answer), values.verbose));
    return Exit.ok;
  },
});

/** The whole story for a person: the pod, its address and why it is that one, and each plugin's part in it. */
export function explanation(answer: JsonObject, verbose: boolean): string {
  const network = objectOf(answer['network']);
  const ip = objectOf(network['ip']);
  const sections = [
    facts([
      ['Pod', `${stringOf(answer['namespace'])}/${stringOf(answer['name'])}`],
      ['Sandbox', stringOf(answer['id'])],
      ['State', stringOf(answer['state']).replace('SANDBOX_', '')],
      ['Created', stringOf(answer['createdAt'])],
      ['IP', stringOf(ip['ip']) || 'none'],
      ['More IPs', stringsOf(ip['additionalIps']).join(', ')],
      ['Unmapped', unmapped(stringsOf(network['unmappedHostPorts']))],
      ['Error', stringOf(answer['error'])],
    ]),
    networks(objectsOf(network['attachments'])),
    why(ip),
    // What a plugin delegates stands before it.
    timeline([...objectsOf(network['timeline']), ...objectsOf(network['running']).reverse()], verbose),
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function unmapped(ports: readonly string[]): string {
  return ports.length === 0 ? '' : `host ports ${ports.join(', ')}: no plugin of its networks maps any`;
}

function networks(attachments: readonly JsonObject[]): string {
  if (attachments.length === 0) return '';
  const rows = attachments.map((attachment) => [
    stringOf(attachment['network']),
    stringOf(attachment['ifName']),
    stringOf(attachment['source']),
  ]);
  return table(['NETWORK', 'INTERFACE', 'CONFIGURATION'], rows);
}

/** Every address that the plugins returned, and what became of it by which rule. */
function why(ip: JsonObject): string {
  const candidates = objectsOf(ip['candidates']);
  if (candidates.length === 0) return '';
  const rows = candidates.map((candidate) => [
    stringOf(candidate['address']),
    stringOf(candidate['interface']) || '-',
    stringOf(candidate['verdict']),
    stringOf(candidate['reason']),
  ]);
  return `${table(['ADDRESS', 'INTERFACE', 'VERDICT', 'REASON'], rows)}Rule: ${printable(stringOf(ip['rule']))}\n`;
}

function timeline(steps: readonly JsonObject[], verbose: boolean): string {
  if (steps.length === 0) return 'No plugin has been asked.\n';
  const ordered = delegatesBelow(steps);
  const rows = ordered.map(({ step, depth }) => [
    stringOf(step['startedAt']).slice(11, 23),
    stringOf(step['verb']),
    `${'  '.repeat(depth)}${stringOf(step['plugin'])}`,
    duration(numberOf(step['durationMs']) ?? 0),
    ...endOf(step),
  ]);
  const header = ['TIME', 'VERB', 'PLUGIN', 'TOOK', 'OUTCOME', 'BY'];
  const [head = '', ...lines] = table(header, rows)
    .split('\n')
    .filter((line) => line !== '');
  const body = lines.map(
    (line, index) => `${line}\n${indent(details(ordered[index]?.step ?? {}, verbose), '    ')}`,
  );
  return `${head}\n${body.join('')}`;
}

/** How it ended, and who served it. */
function endOf(step: JsonObject): string[] {
  // Only what runs still has none.
  if (step['provider'] === undefined) return ['running', '-'];
  const outcome = step['error'] === undefined ? 'ok' : 'failed';
  return [outcome, stringOf(step['provider']) || 'not found'];
}

interface PlacedStep {
  readonly step: JsonObject;
  readonly depth: number;
}

/**
 * The steps in the order of their beginning. A timeline is in the order of their end, so what a plugin delegated stands
 * before it there; here it stands below it.
 */
export function delegatesBelow(steps: readonly JsonObject[]): PlacedStep[] {
  const done: PlacedStep[] = [];
  let waiting: { readonly delegatedBy: string; readonly placed: readonly PlacedStep[] }[] = [];
  for (const step of steps) {
    const plugin = stringOf(step['plugin']);
    const own = waiting.filter((group) => group.delegatedBy === plugin);
    waiting = waiting.filter((group) => group.delegatedBy !== plugin);
    const below = own.flatMap((group) => group.placed.map(({ step, depth }) => ({ step, depth: depth + 1 })));
    const placed = [{ step, depth: 0 }, ...below];
    const delegatedBy = stringOf(step['delegatedBy']);
    if (delegatedBy === '') done.push(...placed);
    else waiting.push({ delegatedBy, placed });
  }
  return [...done, ...waiting.flatMap((group) => group.placed)];
}

function details(step: JsonObject, verbose: boolean): string {
  const lines: string[] = [];
  const error = stringOf(step['error']);
  const code = numberOf(step['code']);
  if (error !== '')
    lines.push(`error${code === undefined || code === 0 ? '' : ` ${code}`}: ${printable(error)}`);
  const stderr = stringOf(step['stderr']);
  if (stderr !== '') lines.push(...printableLines(stderr).map((line) => `stderr: ${line}`));
  if (verbose) lines.push(...JSON.stringify(objectOf(step['config']), undefined, 2).split('\n'));
  return lines.map((line) => `${line}\n`).join('');
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
