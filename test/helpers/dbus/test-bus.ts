import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Scratch } from '../fixture.ts';

const ALLOWED = ['call', 'return', 'error', 'signal'].map((type) => {
  const full = type === 'call' || type === 'return' ? `method_${type}` : type;
  return `<allow send_type="${full}" send_requested_reply="true"/><allow receive_type="${full}"/>`;
});

function configuration(path: string): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=${path}</listen>
  <listen>unix:abstract=${path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow own="*"/>${ALLOWED.join('')}</policy>
</busconfig>`;
}

/** A message bus of the test's own: Debian's dbus-daemon, at a path and at the abstract name of the same letters. */
export class TestBus implements AsyncDisposable {
  readonly path: string;
  readonly #scratch: Scratch;
  readonly #daemon: ChildProcess;

  private constructor(scratch: Scratch, path: string, daemon: ChildProcess) {
    this.#scratch = scratch;
    this.path = path;
    this.#daemon = daemon;
  }

  get address(): string {
    return `unix:path=${this.path}`;
  }

  static async start(): Promise<TestBus> {
    const scratch = await Scratch.create();
    const file = join(scratch.path, 'bus.conf');
    const path = join(scratch.path, 'bus');
    writeFileSync(file, configuration(path));
    const args = [`--config-file=${file}`, '--nofork', '--nopidfile', '--print-address=1'];
    const daemon = spawn('dbus-daemon', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    daemon.stderr.on('data', (data) => (said += String(data)));
    const bus = new TestBus(scratch, path, daemon);
    const started = await Promise.race([
      once(daemon.stdout, 'data'),
      once(daemon, 'exit'),
      once(daemon, 'error'),
    ]);
    if (!Buffer.isBuffer(started[0])) {
      await scratch[Symbol.asyncDispose]();
      throw new Error(`dbus-daemon did not start: ${String(started[0])} ${said}`);
    }
    return bus;
  }

  /** The daemon takes connections and says nothing any more. */
  freeze(): void {
    this.#daemon.kill('SIGSTOP');
  }

  /** The daemon ends; its socket file stays, as after a crash. */
  async crash(): Promise<void> {
    if (this.#daemon.exitCode !== null || this.#daemon.signalCode !== null) return;
    const exit = once(this.#daemon, 'exit');
    this.#daemon.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    await this.#scratch[Symbol.asyncDispose]();
  }
}
