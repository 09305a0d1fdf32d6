import assert from 'node:assert/strict';
import { eventually } from '../../helpers/fixture.ts';
import { Terminal } from '../../helpers/terminal.ts';
import { main } from '../cli/run-main.ts';
import { StreamingRig } from './rig.ts';

const SIZE = { columns: 91, rows: 37 };

describe('berth pod exec in a terminal', () => {
  let rig: StreamingRig;
  let id: string;

  before(async () => {
    rig = await StreamingRig.start();
    const pod = await rig.containers.runPod('terminal');
    id = await rig.containers.run(pod, 'main', ['sleep', '3600']);
  });

  after(async () => {
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  /** A shell in the container that runs this script, once it has begun. */
  async function exec(script: string, reader = ''): Promise<Terminal> {
    const { socket } = rig.containers.daemon;
    const command = ['sh', '-c', `stty -echo; echo begun; ${script}`];
    const args = ['pod', 'exec', '-it', '--address', socket, 'default/terminal', '--', ...command];
    const argv = [process.execPath, main, ...args];
    const piped = ['sh', '-c', `"$@" | ${reader}`, 'sh', ...argv];
    const terminal = await Terminal.run(reader === '' ? argv : piped, SIZE);
    try {
      await terminal.shows(/begun/);
      return terminal;
    } catch (error) {
      await terminal[Symbol.asyncDispose]();
      throw error;
    }
  }

  it('passes every key and byte on, tells its size, and gives the terminal back with the exit code', async () => {
    const size = (rows: number, columns: number): string =>
      `while [ "$(stty size)" != "${rows} ${columns}" ]; do sleep 0.05; done; echo size ${columns}`;
    const script = [
      'trap "echo got INT; exit 7" INT',
      size(37, 91),
      size(12, 40),
      // What the command's own terminal does not make of a line's end, ours shall not make either.
      'stty -onlcr; echo a; echo b; stty onlcr',
      'echo looping; while :; do sleep 0.05; done',
    ].join('; ');
    await using terminal = await exec(script);
    await terminal.shows(/size 91/);
    const flags = await terminal.settings();
    for (const flag of ['-icanon', '-echo', '-isig', '-ixon', '-icrnl', '-opost'])
      assert.ok(flags.has(flag), flag);
    await terminal.resize({ columns: 40, rows: 12 });
    await terminal.shows(/size 40\r\na\nb\nlooping/);
    terminal.type('\x03');
    assert.deepEqual(await terminal.ended(), { code: 7, after: terminal.before });
    assert.match(terminal.text, /got INT/);
  });

  it('gives the terminal back when it is ended by a signal, and ends the command', async () => {
    await using terminal = await exec('exec sleep 4721');
    await eventually('it runs', () => (rig.running('4721') > 0 ? true : undefined));
    process.kill(terminal.pid, 'SIGTERM');
    const { code, after } = await terminal.ended();
    assert.deepEqual([code, after], [1, terminal.before]);
    assert.match(terminal.text, /\r\nberth: interrupted by SIGTERM\r\n/);
    await rig.settled(id, '4721');
  });

  it('gives the terminal back when what it shows goes to a reader that has seen enough', async () => {
    await using terminal = await exec('while :; do echo more; sleep 0.05; done', 'head -n 1');
    const { code, after } = await terminal.ended();
    assert.deepEqual([code, after], [0, terminal.before]);
  });

  it('gives the terminal back when the connection is lost', async () => {
    await using terminal = await exec('exec sleep 4722');
    await rig.containers.daemon.kill();
    try {
      const { code, after } = await terminal.ended();
      assert.deepEqual([code, after], [1, terminal.before]);
      assert.match(terminal.text, /\r\nberth: the connection was lost\r\n/);
    } finally {
      await rig.containers.daemon.start();
    }
  });
});
