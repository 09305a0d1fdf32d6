import { SyscallError } from '../../../../kernel/errno.ts';
import { close, recv, send } from '../../../../kernel/libc.ts';
import type { RouteSpec } from '../../../../kernel/netlink/routes.ts';
import { isNamespace } from '../../../../kernel/thread-namespaces.ts';
import { ThreadPool } from '../../../../kernel/threads/pool.ts';
import type { Wire } from './exchange.ts';
import type { AddressJob, OpenJob, OpenLink, RestoreJob } from './jobs.ts';

/** Pods' links, for the main thread. */
export interface Links {
  /** Whether there is a namespace at the path; waits for nothing. */
  hasPlace(netns: string): boolean;
  /** Undefined when the link, or the whole namespace, is gone. */
  open(job: OpenJob): Promise<Wire | undefined>;
  /** The routes that go with an address when that is taken off; none when the link does not have it. */
  routes(job: AddressJob): Promise<RouteSpec[]>;
  /** Takes an address off a link; false when that did not have it. */
  withdraw(job: AddressJob): Promise<boolean>;
  /** Puts address and routes back. */
  restore(job: RestoreJob): Promise<void>;
}

/** By jobs on a thread of its own: those of plugins may be waiting for what it does. It starts with the first one. */
export class PodLinks implements Links {
  readonly #pool = new ThreadPool({
    name: 'dhcp',
    size: 1,
    modules: [new URL('./jobs.js', import.meta.url)],
  });

  hasPlace(netns: string): boolean {
    return isNamespace(netns);
  }

  async open(job: OpenJob): Promise<Wire | undefined> {
    const link = (await this.#pool.call('dhcp.open', job)) as OpenLink | undefined;
    return link === undefined ? undefined : new PacketWire(link);
  }

  async routes(job: AddressJob): Promise<RouteSpec[]> {
    return (await this.#pool.call('dhcp.routes', job)) as RouteSpec[];
  }

  async withdraw(job: AddressJob): Promise<boolean> {
    return (await this.#pool.call('dhcp.withdraw', job)) as boolean;
  }

  async restore(job: RestoreJob): Promise<void> {
    await this.#pool.call('dhcp.restore', job);
  }

  stop(): Promise<void> {
    return this.#pool.stop();
  }
}

const FRAME_MOST = 2_048;

/** A packet socket, which keeps the namespace that it was opened in. */
class PacketWire implements Wire {
  readonly mac: string;
  readonly mtu: number;
  readonly isShared: boolean;
  readonly #fd: number;

  constructor({ fd, mac, mtu, kind }: OpenLink) {
    this.mac = mac;
    this.mtu = mtu;
    this.isShared = kind === 'ipvlan';
    this.#fd = fd;
  }

  send(frame: Uint8Array): void {
    send(this.#fd, frame);
  }

  /** A frame that is longer than any of ours is cut, and then no frame at all to who reads it. */
  receive(): Uint8Array | undefined {
    const buffer = Buffer.alloc(FRAME_MOST);
    try {
      return buffer.subarray(0, recv(this.#fd, buffer));
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'EAGAIN') return undefined;
      throw error;
    }
  }

  close(): void {
    close(this.#fd);
  }
}
