import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import type { Client } from '../client.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { clientOptions, connect } from '../connect.ts';
import { Exit, UsageError } from '../exit.ts';
import { age, indent, json, printable, table } from '../table.ts';
import { numberOf, stringOf, stringsOf } from './fields.ts';

export const command = defineCommand({
  name: 'net debts',
  summary: 'List failed CNI DELs that are still owed, retry one, or forgive one',
  positionals: '[list | retry ID | forgive ID]',
  arity: [0, 2],
  options: clientOptions,
  details: `A debt is paid in the background with growing pauses; until then its addresses and host ports are handed to no
other pod. To forgive one is to say that you have cleaned up by hand. ID may be the beginning of an id.`,
  async run(values, [verb = 'list', id], context) {
    if (!isVerb(verb)) throw new UsageError(`net debts knows list, retry and forgive, not "${verb}"`);
    if ((verb === 'list') !== (id === undefined)) {
      throw new UsageError(verb === 'list' ? 'net debts list takes no ID' : `net debts ${verb} needs an ID`);
    }
    using client = await connect(values, context);
    const answer = await ask(client, verb, id ?? '');
    if (values.json) context.stdout(json(answer));
    else if (verb === 'list') list(answer, context);
    else context.stdout(`${verb === 'retry' ? 'paid' : 'forgiven'}: ${describe(answer)}\n`);
    return Exit.ok;
  },
});

type Verb = 'list' | 'retry' | 'forgive';

function isVerb(word: string): word is Verb {
  return word === 'list' || word === 'retry' || word === 'forgive';
}

function ask(client: Client, verb: Verb, id: string): Promise<unknown> {
  switch (verb) {
    case 'list':
      return client.listDebts();
    case 'retry':
      return client.retryDebt(id);
    case 'forgive':
      return client.forgiveDebt(id);
  }
}

function list(answer: unknown, context: CommandContext): void {
  const debts = Array.isArray(answer) ? answer.filter(isJsonObject) : [];
  context.stdout(debts.length === 0 ? 'no debts\n' : debtTable(debts, new Date()));
}

/** One row for each debt and, below it, why it is owed. */
export function debtTable(debts: readonly JsonObject[], now: Date): string {
  const rows = debts.map((debt) => [
    stringOf(debt['id']),
    podOf(debt),
    stringOf(debt['network']),
    stringsOf(debt['plugins']).join(','),
    [...stringsOf(debt['addresses']), ...stringsOf(debt['hostPorts'])].join(','),
    String(numberOf(debt['attempts']) ?? 0),
    age(new Date(stringOf(debt['createdAt'])), now),
    inHowLong(stringOf(debt['nextAttemptAt']), now),
  ]);
  const header = ['DEBT', 'POD', 'NETWORK', 'OWED BY', 'HELD BACK', 'ATTEMPTS', 'AGE', 'NEXT TRY'];
  const [head = '', ...lines] = table(header, rows)
    .split('\n')
    .filter((line) => line !== '');
  const reasons = debts.map((debt) => stringOf(debt['lastError']));
  const body = lines.map((line, index) => {
    const reason = reasons[index] ?? '';
    return reason === '' ? `${line}\n` : `${line}\n${indent(`${printable(reason)}\n`)}`;
  });
  return `${head}\n${body.join('')}`;
}

function describe(answer: unknown): string {
  if (!isJsonObject(answer)) return '';
  const kept = [...stringsOf(answer['addresses']), ...stringsOf(answer['hostPorts'])];
  const freed = kept.length === 0 ? '' : `, free again: ${kept.join(', ')}`;
  return printable(`${stringOf(answer['id'])} of pod ${podOf(answer)}${freed}`);
}

function podOf(debt: JsonObject): string {
  return `${stringOf(debt['namespace'])}/${stringOf(debt['name'])}`;
}

function inHowLong(time: string, now: Date): string {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return '';
  return at <= now.getTime() ? 'now' : `in ${age(now, new Date(at))}`;
}
