import { defineCommand } from '../command.ts';
import { connect } from '../connect.ts';
import { containerOption, findContainer } from './container.ts';
import { runSession, sessionOptions, sessionStreams } from './session.ts';

export const command = defineCommand({
  name: 'pod exec',
  summary: 'Run a command in a container and return its exit code',
  positionals: 'POD -- COMMAND...',
  arity: [2, Number.POSITIVE_INFINITY],
  options: { ...sessionOptions, ...containerOption },
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. What follows -- is the command with its arguments; no shell
reads it. The exit code is the command's own (128 and more: ended by a signal); what else fails has the codes of berth help.`,
  async run(values, [pod = '', ...cmd], context) {
    const streams = sessionStreams(values, context);
    using client = await connect(values, context);
    const { id: containerId } = await findContainer(client, pod, values.container);
    const url = await client.exec({ containerId, cmd, ...streams });
    return await runSession(url, streams, context);
  },
});
