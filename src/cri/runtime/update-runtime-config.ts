import { isIP } from 'node:net';
import type { UpdateRuntimeConfigRequest__Output } from '../../gen/runtime/v1/UpdateRuntimeConfigRequest.ts';
import type { UpdateRuntimeConfigResponse } from '../../gen/runtime/v1/UpdateRuntimeConfigResponse.ts';
import { invalid } from '../../lib/errors.ts';
import type { Unary } from '../call.ts';

/** CRI UpdateRuntimeConfig: kubelet tells the node's pod CIDRs; with `conf_template` a network is made from them. */
export const updateRuntimeConfig: Unary<
  UpdateRuntimeConfigRequest__Output,
  UpdateRuntimeConfigResponse
> = async (deps, request) => {
  const given = request.runtimeConfig?.networkConfig?.podCidr ?? '';
  if (given !== '') await deps.networks.usePodCidrs(given.split(',').map(checkCidr));
  return {};
};

function checkCidr(cidr: string): string {
  const [address = '', length = '', ...rest] = cidr.trim().split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (rest.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > bits) {
    throw invalid('runtime_config.network_config.pod_cidr', `"${cidr.slice(0, 64)}" is not a CIDR`);
  }
  return cidr.trim();
}
