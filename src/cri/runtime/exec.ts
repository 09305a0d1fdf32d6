import type { ExecRequest__Output } from '../../gen/runtime/v1/ExecRequest.ts';
import type { ExecResponse } from '../../gen/runtime/v1/ExecResponse.ts';
import { invalid } from '../../lib/errors.ts';
import { requireRunning } from '../../pod/container/require-running.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';
import { requireStreams } from './require-streams.ts';

/** CRI Exec: a URL at which the command is run with the client's streams. */
export const exec: Unary<ExecRequest__Output, ExecResponse> = ({ pods, streaming }, request) => {
  const container = pods.containers.store.get(requireId('container_id', request.containerId));
  requireRunning(container);
  const { cmd, tty, stdin, stdout, stderr } = request;
  requireStreams(request);
  if (cmd.length === 0) throw invalid('cmd', 'must not be empty');
  return {
    url: streaming.urlFor({ kind: 'exec', containerId: container.id, cmd, tty, stdin, stdout, stderr }),
  };
};
