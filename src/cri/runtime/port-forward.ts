import type { PortForwardRequest__Output } from '../../gen/runtime/v1/PortForwardRequest.ts';
import type { PortForwardResponse } from '../../gen/runtime/v1/PortForwardResponse.ts';
import { invalid } from '../../lib/errors.ts';
import { requireReady } from '../../pod/sandbox/port-forward.ts';
import type { Unary } from '../call.ts';
import { requireId } from './require-id.ts';

/** Each port has two of the channels that one byte can number. */
const MOST_PORTS = 100;

/** CRI PortForward: a URL at which the client can connect to ports of the pod. */
export const portForward: Unary<PortForwardRequest__Output, PortForwardResponse> = (
  { pods, streaming },
  request,
) => {
  const sandbox = pods.store.get(requireId('pod_sandbox_id', request.podSandboxId));
  requireReady(sandbox);
  const { port: ports } = request;
  if (ports.length > MOST_PORTS) throw invalid('port', `has ${ports.length} ports, more than ${MOST_PORTS}`);
  const wrong = ports.find((port) => port < 1 || port > 0xffff);
  if (wrong !== undefined) throw invalid('port', `${wrong} is not between 1 and 65535`);
  return { url: streaming.urlFor({ kind: 'portforward', podSandboxId: sandbox.id, ports }) };
};
