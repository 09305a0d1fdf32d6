import type { ContainerEventResponse } from '../../gen/runtime/v1/ContainerEventResponse.ts';
import type { GetEventsRequest__Output } from '../../gen/runtime/v1/GetEventsRequest.ts';
import type { ServerStream } from '../call.ts';
import { containerStatuses, statusOf } from './pod-sandbox-status.ts';

/** CRI GetContainerEvents (evented PLEG): events from now on, each with the sandbox's status at that moment. */
export const getContainerEvents: ServerStream<GetEventsRequest__Output, ContainerEventResponse> =
  async function* (deps, _request, call) {
    for await (const event of deps.pods.events.subscribe(call.signal)) {
      yield {
        containerId: event.containerId,
        containerEventType: event.type,
        createdAt: event.createdAt.toString(),
        podSandboxStatus: statusOf(event.sandbox, event.state),
        containersStatuses: containerStatuses(deps, event.sandbox),
      };
    }
  };
