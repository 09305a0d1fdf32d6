import type { AttachRequest__Output } from '../../gen/runtime/v1/AttachRequest.ts';
import type { AttachResponse } from '../../gen/runtime/v1/AttachResponse.ts';
import { requireRunning } from '../../pod/container/require-running.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';
import { requireStreams } from './require-streams.ts';

/** CRI Attach: a URL at which the client is connected to the container's own streams. */
export const attach: Unary<AttachRequest__Output, AttachResponse> = ({ pods, streaming }, request) => {
  const container = pods.containers.store.get(requireId('container_id', request.containerId));
  requireRunning(container);
  const { tty, stdin, stdout, stderr } = request;
  requireStreams(request);
  return { url: streaming.urlFor({ kind: 'attach', containerId: container.id, tty, stdin, stdout, stderr }) };
};
