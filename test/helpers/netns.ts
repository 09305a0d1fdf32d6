import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { withNetns } from '../../src/kernel/thread-namespaces.ts';

/** A network namespace of a test's own, made and removed with ip(8). */
export class TestNetns implements Disposable {
  readonly name = `brt-${randomBytes(4).toString('hex')}`;
  readonly path = `/run/netns/${this.name}`;

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name]);
  }

  /** Runs something synchronous in it, so that it takes the place of the host's. */
  enter<T>(fn: () => T extends PromiseLike<unknown> ? never : T): T {
    return withNetns(this.path, fn);
  }

  /** ip(8) with these arguments in the namespace; its JSON. */
  ip(...args: string[]): Record<string, unknown>[] {
    const output = execFileSync('ip', ['-n', this.name, '-d', '-j', ...args], { encoding: 'utf8' });
    return (output.trim() === '' ? [] : JSON.parse(output)) as Record<string, unknown>[];
  }

  /** One link as ip(8) sees it. */
  link(name: string): Record<string, unknown> | undefined {
    return this.ip('link').find((link) => link['ifname'] === name);
  }

  /** The addresses of a link, as `local/prefixlen`, IPv6 link-local ones left out. */
  addresses(name: string): string[] {
    const [link] = this.ip('addr', 'show', 'dev', name);
    const infos = (link?.['addr_info'] ?? []) as Record<string, unknown>[];
    return infos
      .filter(({ family, scope }) => !(family === 'inet6' && scope === 'link'))
      .map(({ local, prefixlen }) => `${String(local)}/${String(prefixlen)}`);
  }

  /** Runs a program in the namespace; its output. */
  run(file: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, file, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  sysctl(name: string): string {
    return this.run('cat', `/proc/sys/${name}`).trim();
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['netns', 'del', this.name]);
  }
}
