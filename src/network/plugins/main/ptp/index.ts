/** ptp: a veth pair between host and container, with a route for each address. See README.md. */
import { askIpam } from '../../ipam.ts';
import { firstUnknownKey, protocolKeys } from '../../config.ts';
import type { Plugin } from '../../plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { del } from './del.ts';

const keys = {
  ...protocolKeys,
  runtimeConfig: true,
  ipam: true,
  ipMasq: true,
  ipMasqBackend: true,
  mtu: true,
} as const;

export const ptp: Plugin = {
  type: 'ptp',
  keys,
  unknownKey: (config) => firstUnknownKey(config, keys),
  add,
  del,
  check,
  gc: (args, context) => askIpam('GC', args, context),
  status: (args, context) => askIpam('STATUS', args, context),
};
