import type { RuntimeCondition } from '../../gen/runtime/v1/RuntimeCondition.ts';
import type { StatusRequest__Output } from '../../gen/runtime/v1/StatusRequest.ts';
import type { StatusResponse } from '../../gen/runtime/v1/StatusResponse.ts';
import type { Unary } from '../call.ts';
import { configInfo } from '../config-info.ts';
import type { CriDeps } from '../deps.ts';
import { debtInfo } from '../debt-info.ts';

/** CRI Status: answered from memory. kubelet makes the node NotReady by it, and shows the messages to people. */
export const status: Unary<StatusRequest__Output, StatusResponse> = (deps, request) => ({
  status: { conditions: [runtimeReady(deps), networkReady(deps)] },
  runtimeHandlers: ['', ...deps.config.containerd.runtimes.keys()].map((name) => ({
    name,
    features: {
      recursiveReadOnlyMounts: deps.pods.containers.features(name).recursiveReadOnly,
      userNamespaces: deps.pods.containers.features(name).userNamespaces,
    },
  })),
  features: { supplementalGroupsPolicy: true, userNamespacesHostNetwork: true },
  info: request.verbose ? info(deps) : {},
});

/** Whether containers can be run: the real state of the connection to the engine. */
function runtimeReady({ pods }: CriDeps): RuntimeCondition {
  const { ready, message } = pods.containers.engine.state;
  return {
    type: 'RuntimeReady',
    status: ready,
    reason: ready ? '' : 'EngineNotReady',
    message: ready ? '' : message,
  };
}

function networkReady({ networks, recovered }: CriDeps): RuntimeCondition {
  const type = 'NetworkReady';
  if (!recovered()) {
    const message = 'addresses of dead sandboxes are being given back';
    return { type, status: false, reason: 'NetworkRecovering', message };
  }
  const { ready, reason, message } = networks.readiness();
  return { type, status: ready, reason, message: reason === '' ? '' : message };
}

function info(deps: CriDeps): Record<string, string> {
  return {
    config: JSON.stringify(configInfo(deps.config)),
    cniconfig: JSON.stringify(deps.networks.cniConfig()),
    ...deps.networks.lastLoadStatus(),
    network: JSON.stringify(deps.networks.info()),
    debts: JSON.stringify(deps.debts.list().map((debt) => debtInfo(deps.debts, debt))),
  };
}
