/** DHCP servers, one that others wrote (udhcpd of busybox) and one that a test scripts, and an eye on what clients say to them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { close, recv, send } from '../../src/kernel/libc.ts';
import { findLink } from '../../src/kernel/netlink/links.ts';
import { NetlinkSocket } from '../../src/kernel/netlink/socket.ts';
import { filterProgram, openPacketSocket } from '../../src/kernel/packet-socket.ts';
import { withNetns } from '../../src/kernel/thread-namespaces.ts';
import { answersTo, type Answering, type Said, saidIn, SERVER_MAC } from '../fakes/dhcp-lan.ts';
import { Scratch, eventually } from './fixture.ts';
import { TestNode } from './node.ts';

export interface DhcpServerOptions {
  readonly node: TestNode;
  readonly device: string;
  /** Addresses that it gives, `10.98.0.20 10.98.0.50`. */
  readonly range: readonly [first: string, last: string];
  /** Seconds. */
  readonly lease: number;
  /** Lines of its configuration. */
  readonly more?: readonly string[];
}

/** udhcpd on a link of a node, with no leases at first. */
export class DhcpServer implements AsyncDisposable {
  readonly #scratch: Scratch;
  readonly #process: ChildProcess;

  private constructor(scratch: Scratch, process: ChildProcess) {
    this.#scratch = scratch;
    this.#process = process;
  }

  static async start({ node, device, range, lease, more = [] }: DhcpServerOptions): Promise<DhcpServer> {
    const scratch = await Scratch.create();
    const at = (name: string): string => join(scratch.path, name);
    writeFileSync(at('leases'), '');
    const lines = [
      `start ${range[0]}`,
      `end ${range[1]}`,
      `interface ${device}`,
      `lease_file ${at('leases')}`,
      `pidfile ${at('pid')}`,
      'min_lease 1',
      `option lease ${lease}`,
      'option subnet 255.255.255.0',
      ...more,
    ];
    writeFileSync(at('conf'), `${lines.join('\n')}\n`);
    const [file, args] = node.command('busybox', 'udhcpd', '-f', '-a', '20', at('conf'));
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    const server = new DhcpServer(scratch, child);
    try {
      await eventually('udhcpd serves', () => {
        if (child.exitCode !== null) throw new Error(`udhcpd ended: ${log}`);
        return log.includes('started') || undefined;
      });
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    await this.#scratch[Symbol.asyncDispose]();
  }
}

/** A message of a client, and between which addresses it was sent. */
export interface Heard extends Said {
  readonly source: string;
  readonly destination: string;
}

const UDP_TO_SERVER = filterProgram([
  [0x30, 0, 0, 23],
  [0x15, 0, 3, 17],
  [0x28, 0, 0, 36],
  [0x15, 0, 1, 67],
  [0x06, 0, 0, 0xffff],
  [0x06, 0, 0, 0],
]);

/** A socket that sees what clients say on a link. */
function clientsOn(node: TestNode, device: string): number {
  return withNetns(node.path, () => {
    using socket = NetlinkSocket.open();
    return openPacketSocket(findLink(socket, device)?.index ?? 0, UDP_TO_SERVER);
  });
}

/** A server that answers as the test says, in a network namespace of its own at the other end of a veth. */
export class ScriptedDhcpServer implements AsyncDisposable {
  readonly said: Said[] = [];
  answering: Answering;
  readonly #node: TestNode;
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;

  private constructor(node: TestNode, answering: Answering) {
    this.#node = node;
    this.answering = answering;
    this.#fd = clientsOn(node, 'eth0');
    this.#timer = setInterval(() => this.#serve(), 5);
  }

  /** @param bridge where clients are, on the node. */
  static async start(node: TestNode, bridge: string, answering: Answering): Promise<ScriptedDhcpServer> {
    const own = await TestNode.create();
    try {
      const peer = ['peer', 'name', 'eth0', 'address', SERVER_MAC, 'netns', own.name];
      await node.run('ip', 'link', 'add', 'scripted', 'type', 'veth', ...peer);
      await node.run('ip', 'link', 'set', 'scripted', 'master', bridge, 'up');
      await own.run('ip', 'link', 'set', 'eth0', 'up');
      return new ScriptedDhcpServer(own, answering);
    } catch (error) {
      await own[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What was said so far, in types. */
  get story(): string {
    return this.said.map(({ type }) => type).join(' ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    close(this.#fd);
    await this.#node[Symbol.asyncDispose]();
  }

  #serve(): void {
    const buffer = Buffer.alloc(2_048);
    for (;;) {
      let length: number;
      try {
        length = recv(this.#fd, buffer);
      } catch {
        return;
      }
      const said = saidIn(buffer.subarray(0, length), Date.now());
      this.said.push(said);
      for (const frame of answersTo(said, this.answering)) send(this.#fd, frame);
    }
  }
}

/** Hears what clients say on a link. */
export class DhcpEar implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;

  constructor(node: TestNode, device: string) {
    this.#fd = clientsOn(node, device);
    this.#timer = setInterval(() => this.#listen(), 5);
  }

  /** Waits for a message that fits. */
  next(what: string, fits: (heard: Heard) => boolean, ms = 15_000): Promise<Heard> {
    return eventually(`${what}; heard ${this.types()}`, () => this.heard.find(fits), ms);
  }

  /** What was heard so far, in short. */
  types(): string {
    return this.heard.map(({ type }) => type).join(' ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    close(this.#fd);
  }

  #listen(): void {
    const buffer = Buffer.alloc(2_048);
    for (;;) {
      try {
        const frame = buffer.subarray(0, recv(this.#fd, buffer));
        this.heard.push({
          ...saidIn(frame, Date.now()),
          source: frame.subarray(26, 30).join('.'),
          destination: frame.subarray(30, 34).join('.'),
        });
      } catch {
        return;
      }
    }
  }
}

/** A bridge with the server's address on a node, for pods and a server to meet. */
export async function lan(node: TestNode, device = 'br98', address = '10.98.0.1/24'): Promise<void> {
  await node.run('ip', 'link', 'add', device, 'type', 'bridge');
  await node.run('ip', 'address', 'add', address, 'dev', device);
  await node.run('ip', 'link', 'set', device, 'up');
}
