import { randomBytes } from 'node:crypto';
import { execa } from 'execa';

/**
 * A network namespace that plays the machine: bridges, host ports and rules of a test live and end with it. Only the
 * network is its own; files and processes are the machine's.
 */
export class TestNode implements AsyncDisposable {
  readonly name: string;
  /** Takes away what it has. */
  readonly #end: () => Promise<unknown>;

  private constructor(name: string, end: () => Promise<unknown>) {
    this.name = name;
    this.#end = end;
  }

  static async create(): Promise<TestNode> {
    const name = `brt-${randomBytes(4).toString('hex')}`;
    const node = new TestNode(name, () => execa('ip', ['netns', 'delete', name]));
    await execa('ip', ['netns', 'add', node.name]);
    await execa('ip', ['-netns', node.name, 'link', 'set', 'lo', 'up']);
    return node;
  }

  /**
   * The private network of the test run: for what a test and the daemon have to meet in on loopback. At its end it loses what plugins
   * leave on a node for good: the bridge, and portmap's chains.
   */
  static own(): TestNode {
    if (process.env['BERTH_PRIVATE_NETWORK'] !== '1') throw new Error('this needs a network of its own');
    return new TestNode('', async () => {
      await execa('ip', ['link', 'delete', 'brt0'], { reject: false });
      await execa('nft', ['flush', 'ruleset']);
    });
  }

  get path(): string {
    return this.name === '' ? '/proc/self/ns/net' : `/run/netns/${this.name}`;
  }

  /** The command line that runs a command in this node. */
  command(...argv: string[]): [string, string[]] {
    return ['nsenter', [`--net=${this.path}`, ...argv]];
  }

  /** Runs a command in this node and returns its stdout; a failure throws with its stderr. */
  async run(...argv: string[]): Promise<string> {
    const [file, args] = this.command(...argv);
    return (await execa(file, args)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}

/** Runs a command in any pinned network namespace. */
export async function runIn(netns: string, ...argv: string[]): Promise<string> {
  return (await execa('nsenter', [`--net=${netns}`, ...argv])).stdout;
}
