import { unmappedPorts } from '../../network/attachment.ts';
import type { Result, ResultInterface, ResultIp } from '../../network/cni/types.ts';
import type { Sandbox } from '../../pod/sandbox/sandbox.ts';
import { hasNetwork } from '../../pod/sandbox/teardown.ts';
import type { CriDeps } from '../deps.ts';
import { protoNames } from '../proto-names.ts';

/** How a sandbox got its address: the steps in order, and why this address. `berth net explain` prints it. */
export function networkInfo(sandbox: Sandbox): Record<string, unknown> {
  const { timeline, primaryIp, results } = sandbox.state;
  const { attachments } = sandbox.record;
  const now = Date.now();
  return {
    timeline,
    running: sandbox.running.map((step) => ({ ...step, durationMs: now - Date.parse(step.startedAt) })),
    ip: primaryIp ?? null,
    unmappedHostPorts: unmappedPorts(attachments),
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
function cniResult({ record, state }: Sandbox): unknown {
  const { results } = state;
  if (results.length === 0) return null;
  const shown = results.map((result, i) => interfaces(result, record.attachments[i]?.ifName ?? ''));
  return {
    Interfaces: Object.assign({}, ...shown) as unknown,
    DNS: results.map((result) => result.dns),
    Routes: results.flatMap((result) => result.routes),
  };
}

/** Addresses that the result ties to no interface, as all of before CNI 0.3.0, are on the one that was asked for. */
function interfaces({ interfaces: links, ips }: Result, ifName: string): Record<string, unknown> {
  const untied = ips.some((ip) => ip.interface === undefined) && links.every(({ name }) => name !== ifName);
  const all = untied ? [...links, { name: ifName }] : links;
  return Object.fromEntries(
    all.map((link: ResultInterface, i) => {
      const isOn = (ip: ResultIp): boolean =>
        ip.interface === i || (ip.interface === undefined && link.name === ifName);
      const configs = ips
        .filter(isOn)
        .map((ip) => ({ IP: ip.address.split('/')[0], Gateway: ip.gateway ?? '' }));
      return [link.name, { IPConfigs: configs, Mac: link.mac ?? '', Sandbox: link.sandbox ?? '' }];
    }),
  );
}
