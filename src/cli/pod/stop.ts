import { defineCommand } from '../command.ts';
import { connect, connectionOptions } from '../connect.ts';
import { each } from './each.ts';
import { findPod } from './find.ts';

export const command = defineCommand({
  name: 'pod stop',
  summary: 'Stop pod sandboxes: their containers and their network',
  positionals: 'POD...',
  arity: [1, Number.POSITIVE_INFINITY],
  options: connectionOptions,
  details: 'POD is an id, the beginning of one, or NAMESPACE/NAME. The ids of stopped pods are printed.',
  async run(values, given, context) {
    using client = await connect(values, context);
    const { items } = await client.listPods();
    const stop = async (argument: string): Promise<string> => {
      const { id } = findPod(argument, items);
      await client.stopPod(id);
      return id;
    };
    return await each(given, stop, context);
  },
});
