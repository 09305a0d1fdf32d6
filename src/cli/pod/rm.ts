import { BerthError } from '../../lib/errors.ts';
import { defineCommand } from '../command.ts';
import { connect, connectionOptions } from '../connect.ts';
import { UsageError } from '../exit.ts';
import { each } from './each.ts';
import { findPod, isReady, nameOf } from './find.ts';

export const command = defineCommand({
  name: 'pod rm',
  summary: 'Remove pod sandboxes',
  positionals: 'POD...',
  arity: [0, Number.POSITIVE_INFINITY],
  options: {
    ...connectionOptions,
    force: { type: 'boolean', short: 'f', help: 'also pods that are ready: stop them first' },
    all: { type: 'boolean', help: 'every pod' },
  },
  details: 'POD is an id, the beginning of one, or NAMESPACE/NAME. The ids of removed pods are printed.',
  async run(values, given, context) {
    if (values.all === given.length > 0) throw new UsageError('pod rm needs either POD... or --all');
    using client = await connect(values, context);
    const { items } = await client.listPods();
    const remove = async (argument: string): Promise<string> => {
      const pod = findPod(argument, items);
      if (isReady(pod)) {
        if (!values.force) {
          throw new BerthError(
            'FAILED_PRECONDITION',
            `pod "${nameOf(pod)}" is ready: stop it first, or use --force`,
          );
        }
        await client.stopPod(pod.id);
      }
      await client.removePod(pod.id);
      return pod.id;
    };
    return await each(values.all ? items.map((pod) => pod.id) : given, remove, context);
  },
});
