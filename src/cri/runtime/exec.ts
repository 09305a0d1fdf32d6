import type { ExecRequest__Output } from '../../gen/runtime/v1/ExecRequest.ts';
import type { ExecResponse } from '../../gen/runtime/v1/ExecResponse.ts';
import { requireRunning } from '../../pod/container/require-running.ts';
import type { Unary } from '../call.ts';
import { requireCommand } from './require-command.ts';
import { requireId } from './require-id.ts';
import { requireStreams } from './require-streams.ts';

/** CRI Exec: a URL at which the command is run with the client's streams. */
export const exec: Unary<ExecRequest__Output, ExecResponse> = ({ pods, streaming }, request) => {
  const container = pods.containers.store.get(requireId('container_id', request.containerId));
  requireRunning(container);
  const { cmd, tty, stdin, stdout, stderr } = request;
  requireStreams(request);
  requireCommand(cmd);
  return {
    url: streaming.urlFor({ kind: 'exec', containerId: container.id, cmd, tty, stdin, stdout, stderr }),
  };
};
