import { defineCommand } from '../command.ts';
import { connect } from '../connect.ts';
import { containerOption, findContainer } from './container.ts';
import { runSession, sessionOptions, sessionStreams } from './session.ts';

export const command = defineCommand({
  name: 'pod attach',
  summary: "Connect to a container's own streams",
  positionals: 'POD',
  arity: [1, 1],
  options: { ...sessionOptions, ...containerOption },
  details: `POD is an id, the beginning of one, or NAMESPACE/NAME. Output is shown from now on; berth pod logs has what came before. It ends
with the container's output, or with our stdin.`,
  async run(values, [pod = ''], context) {
    const streams = sessionStreams(values, context);
    using client = await connect(values, context);
    const { id: containerId } = await findContainer(client, pod, values.container);
    return await runSession(await client.attach({ containerId, ...streams }), streams, context);
  },
});
