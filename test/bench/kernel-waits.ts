import { openSync, closeSync } from 'node:fs';
import { changeLink, deleteLink, findLink, newLink } from '../../src/kernel/netlink/links.ts';
import { newQdisc, TC_H_ROOT, tbfOptions, ticksPerMicrosecond } from '../../src/kernel/netlink/qdiscs.ts';
import { NetlinkSocket } from '../../src/kernel/netlink/socket.ts';
import { threadNamespace } from '../../src/kernel/thread-namespaces.ts';
import { tokenBucket } from '../../src/network/plugins/meta/bandwidth/token-bucket.ts';
import type { Samples } from './measure.ts';

/** Measures the one request of a verb that the kernel takes its time for, in the network namespace of this thread. */
export type KernelWait = (samples: Samples, netns: string) => void;

/** A link that moves into a container and back: `ADD` and `DEL`. */
export const movesLink =
  (name: string): KernelWait =>
  (samples, netns) => {
    using host = NetlinkSocket.open();
    using container = NetlinkSocket.openIn(netns);
    const [inside, outside] = [openSync(netns, 'r'), openSync(threadNamespace('net'), 'r')];
    try {
      timed(samples, 'ADD', host, changeLink(indexOf(host, name), { netnsFd: inside, name: 'eth0' }));
      timed(samples, 'DEL', container, changeLink(indexOf(container, 'eth0'), { netnsFd: outside, name }));
    } finally {
      closeSync(inside);
      closeSync(outside);
    }
  };

/** A link with a token bucket that is deleted: `DEL`. */
export const deletesIfb: KernelWait = (samples) => {
  const name = 'bare99';
  using host = NetlinkSocket.open();
  host.request(newLink({ name, kind: 'ifb', up: true }));
  const index = indexOf(host, name);
  const options = tbfOptions(tokenBucket(8_000_000n, 800_000n, ticksPerMicrosecond()));
  host.request(newQdisc({ index, kind: 'tbf', handle: 0x1_0000, parent: TC_H_ROOT, options }));
  timed(samples, 'DEL', host, deleteLink(index));
};

/** A link above the parent of that name that is deleted: `DEL`. */
export const deletesMacvlan =
  (parent: string): KernelWait =>
  (samples) => {
    const name = 'bare99';
    using host = NetlinkSocket.open();
    host.request(newLink({ name, kind: 'macvlan', link: indexOf(host, parent), up: true }));
    timed(samples, 'DEL', host, deleteLink(indexOf(host, name)));
  };

function timed(
  samples: Samples,
  verb: 'ADD' | 'DEL',
  socket: NetlinkSocket,
  request: Parameters<NetlinkSocket['request']>[0],
): void {
  const start = performance.now();
  socket.request(request);
  samples.add(verb, performance.now() - start);
}

function indexOf(socket: NetlinkSocket, name: string): number {
  const link = findLink(socket, name);
  if (link === undefined) throw new Error(`there is no link "${name}"`);
  return link.index;
}
