import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon, type DaemonOptions } from './daemon.ts';
import { TestNode } from './node.ts';
import { PATIENCE_MS } from './patience.ts';

/** A daemon whose bridges and rules are on a node of its own; both end together. */
export class Rig implements AsyncDisposable {
  readonly node: TestNode;
  readonly daemon: TestDaemon;

  private constructor(node: TestNode, daemon: TestDaemon) {
    this.node = node;
    this.daemon = daemon;
  }

  static async start(options: DaemonOptions = {}): Promise<Rig> {
    const node = options.node ?? (await TestNode.create());
    try {
      return new Rig(node, await TestDaemon.start({ ...options, node }));
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.daemon[Symbol.asyncDispose]();
    } finally {
      await this.node[Symbol.asyncDispose]();
    }
  }
}

/** A temporary directory that ends with its scope. */
export class Scratch implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'berth-scratch-')));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

/** Waits until the condition holds; what it says last is in the error when it never does. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  ms = PATIENCE_MS,
  everyMs = 20,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
