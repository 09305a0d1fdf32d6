import type { Result } from '../../network/cni/types.ts';
import type { Sandbox } from '../../pod/sandbox/sandbox.ts';
import { hasNetwork } from '../../pod/sandbox/teardown.ts';
import type { CriDeps } from '../deps.ts';
import { protoNames } from '../proto-names.ts';

/** How a sandbox got its address: the steps in order, and why this address. `berth net explain` prints it. */
export function networkInfo(sandbox: Sandbox): Record<string, unknown> {
  const { timeline, primaryIp, results } = sandbox.state;
  const { attachments } = sandbox.record;
  return {
    timeline,
    ip: primaryIp ?? null,
    attachments: attachments.map((attachment, i) => ({
      network: attachment.network.name,
      source: attachment.network.source,
      ifName: attachment.ifName,
      result: results[i] ?? null,
    })),
  };
}

/**
 * The verbose info of a sandbox. Keys are containerd's, since people and tools read those; `network`, `phase` and `reason` are
 * ours. Without a pause process the pid is 0.
 */
export function sandboxInfo({ pods }: CriDeps, sandbox: Sandbox): Record<string, unknown> {
  const { record, state } = sandbox;
  const { network = '', ipc = '', uts = '', user = '' } = record.namespaces;
  const namespaces = [
    ['network', network],
    ['ipc', ipc],
    ['uts', uts],
    ['user', user],
  ].filter(([, path]) => path !== '');
  return {
    pid: state.pausePid,
    processStatus: '',
    netNsClosed: network !== '' && !hasNetwork(pods, sandbox),
    runtimeHandler: record.runtimeHandler,
    config: protoNames(record.config),
    runtimeSpec: { linux: { namespaces: namespaces.map(([type, path]) => ({ type, path })) } },
    cniResult: cniResult(sandbox),
    overhead: { linux: protoNames(state.overhead ?? record.config.linux?.overhead ?? null) },
    resources: { linux: protoNames(state.resources ?? record.config.linux?.resources ?? null) },
    phase: state.phase,
    reason: state.reason,
    network: networkInfo(sandbox),
  };
}

/** containerd shows the result of its CNI library: interfaces by name with their addresses, then DNS and routes. */
function cniResult(sandbox: Sandbox): unknown {
  const { results } = sandbox.state;
  if (results.length === 0) return null;
  return {
    Interfaces: Object.assign({}, ...results.map(interfaces)) as unknown,
    DNS: results.map((result) => result.dns),
    Routes: results.flatMap((result) => result.routes),
  };
}

function interfaces(result: Result): Record<string, unknown> {
  return Object.fromEntries(
    result.interfaces.map((link, i) => {
      const ips = result.ips.filter((ip) => ip.interface === i);
      const configs = ips.map((ip) => ({ IP: ip.address.split('/')[0], Gateway: ip.gateway ?? '' }));
      return [link.name, { IPConfigs: configs, Mac: link.mac ?? '', Sandbox: link.sandbox ?? '' }];
    }),
  );
}
