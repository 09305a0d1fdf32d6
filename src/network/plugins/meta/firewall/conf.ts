import type { JsonObject } from '../../../../lib/json.ts';
import { badValue, failure, protocolKeys, stringAt } from '../../config.ts';

export type IngressPolicy = 'open' | 'same-bridge' | 'isolated';

/** What lets the traffic through; `running`: firewalld where it runs, else iptables. */
export type Backend = 'iptables' | 'firewalld' | 'running';

export interface FirewallConf {
  readonly backend: Backend;
  /** firewalld's zone for the container's addresses. */
  readonly zone: string;
  /** Chain for an administrator's own rules, asked before the containers'. */
  readonly adminChain: string;
  readonly ingressPolicy: IngressPolicy;
}

export const keys = {
  ...protocolKeys,
  runtimeConfig: true,
  backend: true,
  iptablesAdminChainName: true,
  firewalldZone: true,
  ingressPolicy: true,
} as const;

const policies: readonly IngressPolicy[] = ['open', 'same-bridge', 'isolated'];

/** iptables allows 28 bytes for a chain's name. */
const MAX_CHAIN = 28;

/** Throws CniError. */
export function parseConf(config: JsonObject): FirewallConf {
  const wanted = stringAt(config, 'ingressPolicy') || 'open';
  const ingressPolicy = policies.find((each) => each === wanted);
  if (ingressPolicy === undefined) throw failure(`unknown ingress policy: ${JSON.stringify(wanted)}`);
  const adminChain = stringAt(config, 'iptablesAdminChainName') || 'CNI-ADMIN';
  if (Buffer.byteLength(adminChain) > MAX_CHAIN || !/^[^\s!:-][^\s:]*$/.test(adminChain)) {
    throw badValue('iptablesAdminChainName', `${JSON.stringify(adminChain)} is no name of a chain`);
  }
  return { ...parsePlace(config), adminChain, ingressPolicy };
}

/** Where ADD puts things: all that a DEL needs. Throws CniError. */
export function parsePlace(config: JsonObject): Pick<FirewallConf, 'backend' | 'zone'> {
  const backend = stringAt(config, 'backend');
  const zone = stringAt(config, 'firewalldZone') || 'trusted';
  if (zone.includes('\0')) {
    throw badValue('firewalldZone', `${JSON.stringify(zone)} is no name of a zone`);
  }
  // As the reference plugin has it, any other word asks for what runs.
  return { backend: backend === 'iptables' || backend === 'firewalld' ? backend : 'running', zone };
}
