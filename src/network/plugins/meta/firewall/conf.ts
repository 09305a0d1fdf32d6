import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { JsonObject } from '../../../../lib/json.ts';
import { badValue, failure, firstUnknownKey, protocolKeys, stringAt } from '../../config.ts';

export type IngressPolicy = 'open' | 'same-bridge' | 'isolated';

export interface FirewallConf {
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

const SYSTEM_BUS = '/run/dbus/system_bus_socket';

/** firewalld is reached over D-Bus; systemd starts it without a pid file, so its process is looked for. */
export function isFirewalldRunning(): boolean {
  if (!existsSync(SYSTEM_BUS)) return false;
  return readdirSync('/proc').some((entry) => /^\d+$/.test(entry) && nameOf(entry) === 'firewalld');
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    // Ended meanwhile.
    return '';
  }
}

/** The backend firewalld is the executable's, be it configured or what runs here. */
export function unknownKey(config: JsonObject, runsFirewalld: () => boolean): string | undefined {
  const unknown = firstUnknownKey(config, keys);
  if (unknown !== undefined) return unknown;
  const backend = stringAt(config, 'backend') ?? '';
  const isOther = backend === 'firewalld' || (backend !== 'iptables' && runsFirewalld());
  return isOther ? 'backend' : undefined;
}

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
  return { adminChain, ingressPolicy };
}
