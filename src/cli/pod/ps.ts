import type { PodSandbox__Output } from '../../gen/runtime/v1/PodSandbox.ts';
import { codeOf } from '../../lib/errors.ts';
import type { Client } from '../client.ts';
import { defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit, UsageError } from '../exit.ts';
import { age, dateOfNanoseconds, json, shortId, table } from '../table.ts';
import { newestFirst, stateOf } from './find.ts';
import { pairs } from './pairs.ts';

const STATES = { ready: 'SANDBOX_READY', notready: 'SANDBOX_NOTREADY' } as const;

export const command = defineCommand({
  name: 'pod ps',
  summary: 'List pod sandboxes, the newest first',
  arity: [0, 0],
  options: {
    ...clientOptions,
    namespace: { type: 'string', short: 'n', value: 'NAME', help: 'only pods of this namespace' },
    label: {
      type: 'string',
      short: 'l',
      value: 'KEY=VALUE',
      multiple: true,
      help: 'only pods with this label',
    },
    state: { type: 'string', short: 's', value: 'STATE', help: 'only pods that are ready, or notready' },
    quiet: { type: 'boolean', short: 'q', help: 'only ids' },
    'no-trunc': { type: 'boolean', help: 'whole ids' },
  },
  details: 'With --json: the answer of ListPodSandbox, {"items": [...]}.',
  async run(values, _positionals, context) {
    const filter = { labelSelector: pairs('--label', values.label), ...stateFilter(values.state) };
    using client = await connect(values, context);
    const items = (await client.listPods(filter)).items
      .filter((pod) => values.namespace === undefined || pod.metadata?.namespace === values.namespace)
      .sort(newestFirst);
    if (values.json) context.stdout(json({ items }));
    else if (values.quiet) context.stdout(items.map((pod) => `${pod.id}\n`).join(''));
    else context.stdout(await listing(client, items, values['no-trunc']));
    return Exit.ok;
  },
});

function stateFilter(text: string | undefined) {
  if (text === undefined) return {};
  const state = Object.entries(STATES).find(([word]) => word === text.toLowerCase())?.[1];
  if (state === undefined) throw new UsageError(`--state must be ready or notready, not "${text}"`);
  return { state: { state } };
}

async function listing(
  client: Client,
  pods: readonly PodSandbox__Output[],
  wholeIds: boolean,
): Promise<string> {
  const now = new Date();
  const ips = await Promise.all(pods.map((pod) => ipOf(client, pod)));
  return table(
    ['POD', 'NAMESPACE', 'NAME', 'STATE', 'IP', 'AGE', 'ATTEMPT', 'HANDLER'],
    pods.map((pod, index) => [
      wholeIds ? pod.id : shortId(pod.id),
      pod.metadata?.namespace ?? '',
      pod.metadata?.name ?? '',
      stateOf(pod),
      ips[index] ?? '',
      age(dateOfNanoseconds(pod.createdAt), now),
      String(pod.metadata?.attempt ?? 0),
      pod.runtimeHandler,
    ]),
  );
}

/** A pod may go while we look; then it has no IP to show. */
async function ipOf(client: Client, pod: PodSandbox__Output): Promise<string> {
  try {
    const { status } = await client.podStatus(pod.id, { verbose: false });
    return status?.network?.ip ?? '';
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return '';
    throw error;
  }
}
