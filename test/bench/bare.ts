import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { newAddress } from '../../src/kernel/netlink/addresses.ts';
import {
  bridgeData,
  changeBridgePort,
  changeLink,
  findLink,
  newLink,
  vethData,
} from '../../src/kernel/netlink/links.ts';
import { newRoute } from '../../src/kernel/netlink/routes.ts';
import { NetlinkSocket } from '../../src/kernel/netlink/socket.ts';
import { createPodNamespaces, removePodNamespaces } from '../../src/kernel/pod-namespaces.ts';
import type { TestNode } from '../helpers/node.ts';

const BRIDGE = 'bare0';
const GATEWAY = '10.98.0.1';

const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };

/** What a sandbox costs the kernel: the same namespaces, mounts and netlink requests, with nothing around them. */
export class BareKernel implements Disposable {
  readonly #directory: string;
  readonly #host: NetlinkSocket;
  readonly #bridge: number;
  #count = 0;

  constructor(node: TestNode, directory: string) {
    this.#directory = directory;
    this.#host = NetlinkSocket.openIn(node.path);
    this.#host.request(newLink({ name: BRIDGE, kind: 'bridge', data: bridgeData({}), up: true }));
    this.#bridge = this.#index(BRIDGE);
    this.#host.request(newAddress({ index: this.#bridge, address: `${GATEWAY}/16` }));
  }

  /** Makes one sandbox; returns what removes it again. */
  run(): () => void {
    const number = ++this.#count;
    const at = (name: string): string => join(this.#directory, `${number}-${name}`);
    const pins = { net: at('net'), ipc: at('ipc'), uts: at('uts') };
    createPodNamespaces({ ...pins, hostname: `bare-${number}`, sysctls, loopbackUp: true, shm: at('shm') });
    this.#connect(pins.net, number);
    return () => removePodNamespaces({ pins: Object.values(pins), shm: at('shm') });
  }

  [Symbol.dispose](): void {
    this.#host.close();
  }

  #connect(netns: string, number: number): void {
    const name = `bare${number}`;
    const netnsFd = openSync(netns, 'r');
    try {
      const data = vethData({ name: 'eth0', netnsFd });
      this.#host.request(newLink({ name, kind: 'veth', data, master: this.#bridge, up: true }));
    } finally {
      closeSync(netnsFd);
    }
    this.#host.request(changeBridgePort(this.#index(name), { hairpin: true }));
    using pod = NetlinkSocket.openIn(netns);
    const eth0 = findLink(pod, 'eth0')?.index ?? 0;
    pod.request(changeLink(eth0, { up: true }));
    // .0.1 is the gateway.
    const address = `10.98.${(number + 1) >> 8}.${(number + 1) & 255}/16`;
    pod.request(newAddress({ index: eth0, address }));
    pod.request(newRoute({ destination: '0.0.0.0/0', gateway: GATEWAY, index: eth0 }));
  }

  #index(name: string): number {
    const link = findLink(this.#host, name);
    if (link === undefined) throw new Error(`there is no link "${name}"`);
    return link.index;
  }
}
