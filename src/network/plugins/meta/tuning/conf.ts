import { isJsonObject, type JsonObject } from '../../../../lib/json.ts';
import { badValue, booleanAt, integerAt, objectAt, protocolKeys, stringAt, wrongType } from '../../config.ts';
import { argsOfConfig, canonicalMac, macOfArgs, macOfRuntime } from '../../main-conf.ts';
import type { PluginArgs } from '../../plugin.ts';
import type { Attributes } from './attributes.ts';

export interface TuningConf {
  /** Name as configured → value. */
  readonly sysctls: ReadonlyMap<string, string>;
  readonly attributes: Attributes;
  /** Where the attributes are kept that are to be restored. */
  readonly dataDir: string;
}

export const keys = {
  ...protocolKeys,
  runtimeConfig: true,
  sysctl: true,
  mac: true,
  mtu: true,
  promisc: true,
  allmulti: true,
  txQLen: true,
  dataDir: true,
} as const;

export function dataDirOf(config: JsonObject): string {
  return stringAt(config, 'dataDir') || '/run/cni/tuning';
}

/** args.cni counts more than the configuration; for the hardware address also runtimeConfig and CNI_ARGS do. Throws CniError. */
export function parseConf({ config, args }: Pick<PluginArgs, 'config' | 'args'>): TuningConf {
  const user = argsOfConfig(config);
  return {
    sysctls: new Map([...sysctlsAt(config, 'sysctl'), ...sysctlsAt(user, 'args.cni.sysctl')]),
    attributes: {
      mac: macOf(config, user, args),
      promisc: (booleanAt(user, 'promisc', 'args.cni.promisc') ?? booleanAt(config, 'promisc')) || undefined,
      mtu: (integerAt(user, 'mtu', 'args.cni.mtu') ?? integerAt(config, 'mtu')) || undefined,
      allmulti: booleanAt(user, 'allmulti', 'args.cni.allmulti') ?? booleanAt(config, 'allmulti'),
      txQLen: lengthOf(integerAt(user, 'txQLen', 'args.cni.txQLen') ?? integerAt(config, 'txQLen')),
    },
    dataDir: dataDirOf(config),
  };
}

function macOf(config: JsonObject, user: JsonObject, args: string): string | undefined {
  const mac =
    stringAt(user, 'mac', 'args.cni.mac') ??
    macOfRuntime(config) ??
    macOfArgs(args) ??
    stringAt(config, 'mac');
  return mac === undefined || mac === '' ? undefined : canonicalMac(mac, `invalid args ${mac} for MAC addr`);
}

function lengthOf(length: number | undefined): number | undefined {
  if (length !== undefined && length < 0) throw badValue('txQLen', `${length} is less than 0`);
  return length;
}

function sysctlsAt(object: JsonObject, path: string): [string, string][] {
  const sysctls = objectAt(object, 'sysctl', path) ?? {};
  return Object.entries(isJsonObject(sysctls) ? sysctls : {}).map(([name, value]) => {
    if (typeof value !== 'string') throw wrongType(`${path}.${name}`, 'a string');
    return [name, value];
  });
}
