import { isJsonObject, type JsonObject } from '../../../../lib/json.ts';
import type { PluginConf } from '../../../cni/types.ts';
import {
  arrayAt,
  failure,
  firstUnknownKey,
  type KnownKeys,
  key,
  objectAt,
  protocolKeys,
  stringAt,
} from '../../config.ts';
import type { SubnetEnv } from './subnet-env.ts';

export interface FlannelConf {
  readonly subnetFile: string;
  readonly dataDir: string;
  readonly delegate: JsonObject;
  readonly ipam: JsonObject;
}

export const keys: KnownKeys = {
  ...protocolKeys,
  subnetFile: true,
  dataDir: true,
  delegate: true,
  ipam: true,
  runtimeConfig: true,
};

/** What delegate and ipam hold is for their plugins to understand. */
export function unknownKey(config: JsonObject): string | undefined {
  return firstUnknownKey(config, keys);
}

/** Where the rendered configurations are kept. */
export function dataDirOf(config: JsonObject): string {
  return stringAt(config, 'dataDir') || '/var/lib/cni/flannel';
}

/** Throws a CniError when the delegate holds what flannel itself sets. */
export function parseConf(config: JsonObject): FlannelConf {
  const delegate = objectAt(config, 'delegate') ?? {};
  const type = key(delegate, 'type');
  if (type !== undefined && typeof type !== 'string') {
    throw failure("'delegate' dictionary, if present, must have (string) 'type' field");
  }
  for (const name of ['name', 'ipam']) {
    if (key(delegate, name) !== undefined) {
      throw failure(`'delegate' dictionary must not have '${name}' field, it'll be set by flannel`);
    }
  }
  return {
    subnetFile: stringAt(config, 'subnetFile') || '/run/flannel/subnet.env',
    dataDir: dataDirOf(config),
    delegate,
    ipam: objectAt(config, 'ipam') ?? {},
  };
}

/** The configuration that the delegate gets: the given one, completed by what flanneld says of this node. */
export function renderDelegate(
  config: JsonObject,
  { delegate, ipam }: FlannelConf,
  env: SubnetEnv,
): PluginConf {
  const type = stringAt(delegate, 'type') ?? 'bridge';
  const runtimeConfig = key(config, 'runtimeConfig');
  const cniVersion = stringAt(config, 'cniVersion') ?? '';
  return {
    ipMasq: !env.ipMasq,
    mtu: env.mtu,
    ...(type === 'bridge' ? { isGateway: true } : {}),
    ...delegate,
    ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
    type,
    name: stringAt(config, 'name') ?? '',
    ...(cniVersion === '' ? {} : { cniVersion }),
    ipam: renderIpam(ipam, env),
  };
}

function renderIpam(ipam: JsonObject, env: SubnetEnv): JsonObject {
  const own = (arrayAt(ipam, 'routes', 'ipam.routes') ?? []).filter(isJsonObject);
  return {
    type: 'host-local',
    ...ipam,
    ranges: env.subnets.map((subnet) => [{ subnet }]),
    routes: [...own, ...env.networks.map((dst) => ({ dst }))],
  };
}
