import type { PodSandboxStatusResponse__Output } from '../../gen/runtime/v1/PodSandboxStatusResponse.ts';
import { BerthError } from '../../lib/errors.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit } from '../exit.ts';
import { parsedInfo } from '../info.ts';
import { dateOfNanoseconds, facts, indent, json, keyed } from '../table.ts';
import { findPod, stateOf } from './find.ts';

export const command = defineCommand({
  name: 'pod inspect',
  summary: 'Show one pod sandbox',
  positionals: 'POD',
  arity: [1, 1],
  options: clientOptions,
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. With --json: {"status": ..., "info": ...}, the answer
of a verbose PodSandboxStatus with info parsed, as crictl inspectp shows it.`,
  async run(values, [given = ''], context) {
    using client = await connect(values, context);
    const pod = findPod(given, (await client.listPods()).items);
    const answer = await client.podStatus(pod.id, { verbose: true });
    context.stdout(
      values.json ? json({ status: answer.status, ...parsedInfo(answer.info) }) : describe(answer),
    );
    return Exit.ok;
  },
});

function describe({ status }: PodSandboxStatusResponse__Output): string {
  if (status === null) throw new BerthError('INTERNAL', 'failed to inspect pod: the answer has no status');
  const namespaces = status.linux?.namespaces?.options;
  const sections = [
    facts([
      ['ID', status.id],
      ['Name', status.metadata?.name],
      ['Namespace', status.metadata?.namespace],
      ['UID', status.metadata?.uid],
      ['Attempt', String(status.metadata?.attempt ?? 0)],
      ['State', stateOf(status)],
      ['Created', dateOfNanoseconds(status.createdAt).toISOString()],
      ['IP', status.network?.ip],
      ['More IPs', status.network?.additionalIps.map(({ ip }) => ip).join(', ')],
      ['Handler', status.runtimeHandler],
      ['Network', namespaces?.network],
      ['PID', namespaces?.pid],
      ['IPC', namespaces?.ipc],
    ]),
    group('Labels', status.labels),
    group('Annotations', status.annotations),
  ];
  return sections.join('');
}

function group(title: string, map: Readonly<Record<string, string>>): string {
  const entries = Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? '' : `${title}:\n${indent(keyed(entries))}`;
}
