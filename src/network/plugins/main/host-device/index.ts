/** host-device: an interface of the host is moved into the container, and back in the end. See README.md. */
import { singleLinkPlugin } from '../../single-link.ts';
import { decode, keys, type HostDeviceConf } from './conf.ts';
import { moveIn, moveOut } from './move.ts';

export const hostDevice = singleLinkPlugin<HostDeviceConf>({
  type: 'host-device',
  keys,
  ipam: 'optional',
  dns: 'own',
  sysctls: [],
  decode,
  create: (args, device, undo) => moveIn(args, device, undo),
  hasNoLink: ({ userspace }) => userspace,
  // Any kind of interface can be moved.
  look: () => undefined,
  remove: moveOut,
});
