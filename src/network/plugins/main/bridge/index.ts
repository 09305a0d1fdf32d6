import { collectUnmasqueraded } from '../../ip-masq.ts';
import { askIpam } from '../../ipam.ts';
import { key } from '../../config.ts';
import { mayHaveIpv6 } from '../../main-conf.ts';
import { tryAll } from '../../undo.ts';
import type { Plugin } from '../../plugin.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { keys, unknownKey } from './conf.ts';
import { del } from './del.ts';
import { describe } from './describe.ts';

/** Connects a container to a Linux bridge by a veth pair. */
export const bridge: Plugin = {
  type: 'bridge',
  keys,
  unknownKey,
  waits: (config) => key(config, 'enabledad') === true && mayHaveIpv6(config),
  add,
  del,
  check,
  gc: (args, context) =>
    tryAll(
      () => askIpam('GC', args, context),
      () => collectUnmasqueraded(args, context),
    ),
  status: (args, context) => askIpam('STATUS', args, context),
  describe,
};
