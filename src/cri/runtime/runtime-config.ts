import type { RuntimeConfigRequest__Output } from '../../gen/runtime/v1/RuntimeConfigRequest.ts';
import type { RuntimeConfigResponse } from '../../gen/runtime/v1/RuntimeConfigResponse.ts';
import { cgroupDriver } from '../../kernel/cgroups.ts';
import type { Unary } from '../call.ts';

/** CRI RuntimeConfig: which cgroup driver kubelet has to use (KEP-4033). */
export const runtimeConfig: Unary<RuntimeConfigRequest__Output, RuntimeConfigResponse> = (deps) => {
  const configured = deps.config.runtime.cgroupDriver;
  const driver = configured === 'auto' ? cgroupDriver() : configured;
  return { linux: { cgroupDriver: driver === 'systemd' ? 'SYSTEMD' : 'CGROUPFS' } };
};
