import type { Plugin } from '../../plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { ipamType, unknownKey } from './conf.ts';
import { del } from './del.ts';

/** Connects a container to a Linux bridge by a veth pair. */
export const bridge: Plugin = {
  type: 'bridge',
  unknownKey,
  add,
  del,
  check,
  status: (args, context) => {
    const ipam = ipamType(args.config);
    if (ipam !== '') {
      context.delegate(ipam, 'STATUS', args);
    }
  },
};
