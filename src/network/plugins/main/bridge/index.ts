import { askIpam } from '../../ipam.ts';
import type { Plugin } from '../../plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { keys, unknownKey } from './conf.ts';
import { del } from './del.ts';

/** Connects a container to a Linux bridge by a veth pair. */
export const bridge: Plugin = {
  type: 'bridge',
  keys,
  unknownKey,
  add,
  del,
  check,
  gc: (args, context) => askIpam('GC', args, context),
  status: (args, context) => askIpam('STATUS', args, context),
};
