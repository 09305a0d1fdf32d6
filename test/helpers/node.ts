import { randomBytes } from 'node:crypto';
import { execa } from 'execa';

/**
 * A network namespace that plays the machine: bridges, host ports and rules of a test live and end with it. Only the
 * network is its own; files and processes are the machine's.
 */
export class TestNode implements AsyncDisposable {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  static async create(): Promise<TestNode> {
    const node = new TestNode(`brt-${randomBytes(4).toString('hex')}`);
    await execa('ip', ['netns', 'add', node.name]);
    await execa('ip', ['-netns', node.name, 'link', 'set', 'lo', 'up']);
    return node;
  }

  get path(): string {
    return `/run/netns/${this.name}`;
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
    await execa('ip', ['netns', 'delete', this.name]);
  }
}

/** Runs a command in any pinned network namespace. */
export async function runIn(netns: string, ...argv: string[]): Promise<string> {
  return (await execa('nsenter', [`--net=${netns}`, ...argv])).stdout;
}
