/** Keys that plugins which make interfaces have in common. */
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts';
import type { ResultDns } from '../cni/types.ts';
import { parseAddress } from './address.ts';
import { cniArgs } from './cni-args.ts';
import { booleanAt, failure, key, objectAt, stringAt, stringsAt } from './config.ts';

export interface IpMasq {
  /** What the kernel offers when undefined. */
  readonly backend: 'iptables' | 'nftables' | undefined;
}

/** The type of the network's IPAM plugin; '' when it has none. */
export function ipamType(config: JsonObject): string {
  return stringAt(objectAt(config, 'ipam') ?? {}, 'type', 'ipam.type') ?? '';
}

/** As ipamType, for who may not fail over it: '' also when the key makes no sense. */
export function ipamTypeIfAny(config: JsonObject): string {
  const ipam = key(config, 'ipam');
  const type = isJsonObject(ipam) ? key(ipam, 'type') : '';
  return typeof type === 'string' ? type : '';
}

/** Whether the container may be given an IPv6 address, as far as one can be seen in the configuration: in a range, a request, a result. */
export function mayHaveIpv6(value: Json): boolean {
  if (typeof value === 'string') return parseAddress(value.split('/', 1)[0] ?? '')?.family === 6;
  return typeof value === 'object' && value !== null && Object.values(value).some(mayHaveIpv6);
}

/** Whether and how ipMasq asks for masquerading. */
export function ipMasqOf(config: JsonObject): IpMasq | undefined {
  if (booleanAt(config, 'ipMasq') !== true) {
    return undefined;
  }
  const backend = stringAt(config, 'ipMasqBackend');
  if (backend === undefined || backend === 'iptables' || backend === 'nftables') {
    return { backend };
  }
  throw failure(`unknown ipmasq backend "${backend}"`);
}

/** Whether ipMasq is set: who takes rules back need not know how they were made. */
export function isMasqueraded(config: JsonObject): boolean {
  return key(config, 'ipMasq') === true;
}

/** MAC of CNI_ARGS; undefined when it is not there. */
export function macOfArgs(args: string): string | undefined {
  return cniArgs(args, ['MAC'])['MAC'] || undefined;
}

/** The hardware address that the runtime asks for by its capability. */
export function macOfRuntime(config: JsonObject): string | undefined {
  return stringAt(objectAt(config, 'runtimeConfig') ?? {}, 'mac', 'runtimeConfig.mac') || undefined;
}

/** args.cni: what a network's user adds to its configuration. */
export function argsOfConfig(config: JsonObject): JsonObject {
  return objectAt(objectAt(config, 'args') ?? {}, 'cni', 'args.cni') ?? {};
}

/**
 * A hardware address in lower case with colons. The bytes may be separated by colons or dashes, or stand in three groups with
 * dots. `doing` begins the message of the error.
 */
export function canonicalMac(text: string, doing: string): string {
  const forms = [/^([0-9a-f]{2}([:-])){5}[0-9a-f]{2}$/i, /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i];
  const hex = text.replace(/[^0-9a-f]/gi, '').toLowerCase();
  if (!forms.some((form) => form.test(text)) || (text.includes(':') && text.includes('-'))) {
    throw failure(`${doing}: address ${text}: invalid MAC address`);
  }
  return (hex.match(/../g) ?? []).join(':');
}

/** The configuration's own dns; undefined when it has none. */
export function ownDns(config: JsonObject): ResultDns | undefined {
  const dns = objectAt(config, 'dns') ?? {};
  const lists = Object.fromEntries(
    ['nameservers', 'search', 'options'].flatMap((name) => {
      const values = stringsAt(dns, name, `dns.${name}`);
      return values === undefined ? [] : [[name, values]];
    }),
  );
  const domain = stringAt(dns, 'domain', 'dns.domain') ?? '';
  const own: ResultDns = domain === '' ? lists : { ...lists, domain };
  return Object.keys(own).length === 0 ? undefined : own;
}
