import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonOptions } from '../../helpers/daemon.ts';
import { eventually } from '../../helpers/fixture.ts';
import { TestNode } from '../../helpers/node.ts';
import type { Command, CommandOptions } from '../../helpers/streaming/client.ts';
import { spdyCommand } from '../../helpers/streaming/spdy.ts';
import { StreamingUrls } from '../../helpers/streaming/urls.ts';
import { webSocketCommand } from '../../helpers/streaming/websocket.ts';
import { ContainerRig } from '../containers/rig.ts';

export type Transport = 'SPDY' | 'WebSocket';
export const TRANSPORTS: readonly Transport[] = ['SPDY', 'WebSocket'];

/** A daemon in the network of the tests, and its streaming. */
export class StreamingRig implements AsyncDisposable {
  readonly containers: ContainerRig;
  readonly urls: StreamingUrls;

  private constructor(containers: ContainerRig) {
    this.containers = containers;
    this.urls = new StreamingUrls(() => containers.daemon.client.runtime);
  }

  /** @param config keys of the daemon's configuration that differ, by section. */
  static async start(config: DaemonOptions['config'] = {}): Promise<StreamingRig> {
    return new StreamingRig(await ContainerRig.start({ node: TestNode.own(), config }));
  }

  async exec(
    transport: Transport,
    containerId: string,
    cmd: readonly string[],
    options: CommandOptions = {},
  ): Promise<Command> {
    return open(transport, await this.urls.exec(containerId, cmd, options), options);
  }

  async attach(transport: Transport, containerId: string, options: CommandOptions = {}): Promise<Command> {
    return open(transport, await this.urls.attach(containerId, options), options);
  }

  /** Descriptors that the daemon has open. */
  descriptors(): number {
    return readdirSync(`/proc/${this.containers.daemon.pid}/fd`).length;
  }

  /** FIFO directories of commands and containers. */
  fifos(): string[] {
    return readdirSync(join(this.containers.state, 'io'));
  }

  /** Processes that run this program with this argument, wherever. */
  running(argument: string): number {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && argvOf(pid).includes(argument)).length;
  }

  /** Waits until the FIFOs of the container alone are left, and none of these processes. */
  async settled(containerId: string, argument: string): Promise<void> {
    const left = (): string =>
      [...this.fifos().filter((id) => id !== containerId), `${this.running(argument)} processes`].join(', ');
    await eventually('the command and its FIFOs are gone', () =>
      left() === '0 processes' ? true : undefined,
    ).catch((error: unknown) => {
      throw new Error(`left: ${left()}`, { cause: error });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.containers[Symbol.asyncDispose]();
  }
}

function open(transport: Transport, url: string, options: CommandOptions): Promise<Command> {
  return transport === 'SPDY' ? spdyCommand(url, options) : webSocketCommand(url, options);
}

function argvOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
