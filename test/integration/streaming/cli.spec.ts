import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, truncateSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../helpers/fixture.ts';
import { berth, main } from '../cli/run-main.ts';
import type { Pod } from '../containers/rig.ts';
import { StreamingRig } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

describe('berth pod exec, attach, logs and port-forward', () => {
  let rig: StreamingRig;
  let pod: Pod;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('cli');
    const script = 'echo started; echo oops >&2; while read line; do echo "got $line"; done';
    await rig.containers.run(pod, 'main', ['sh', '-c', script], { ...own, stdin: true });
    await rig.containers.logged(pod, 'main', /started/);
  });

  after(async () => {
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  function run(args: readonly string[], input = ''): ReturnType<typeof berth> {
    const [group = '', command = '', ...rest] = args;
    return berth([group, command, '--address', rig.containers.daemon.socket, ...rest], { input });
  }

  it('runs a command, and its exit code becomes ours', async () => {
    const script = 'cat; echo err >&2; exit 7';
    assert.deepEqual(await run(['pod', 'exec', '-i', 'default/cli', '--', 'sh', '-c', script], 'stdin'), {
      code: 7,
      stdout: 'stdin',
      stderr: 'err\n',
    });
    assert.equal((await run(['pod', 'exec', pod.id.slice(0, 12), '--', 'true'])).code, 0);
  });

  it('says what cannot be done', async () => {
    const missing = await run(['pod', 'exec', 'default/cli', '--', 'no-such-program']);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^berth: .*no-such-program.*\n$/);
    assert.equal((await run(['pod', 'exec', 'default/none', '--', 'true'])).code, 4);
    const other = await run(['pod', 'exec', '-C', 'none', 'default/cli', '--', 'true']);
    assert.deepEqual([other.code, other.stderr], [4, 'berth: pod "default/cli" has no container "none"\n']);
    const terminal = await run(['pod', 'exec', '-it', 'default/cli', '--', 'sh']);
    assert.equal(terminal.code, 2);
  });

  it('attaches until stdin ends', async () => {
    const { code, stdout } = await run(['pod', 'attach', '-i', 'default/cli'], 'hello\n');
    assert.equal(code, 0);
    assert.ok(['', 'got hello\n'].includes(stdout), stdout);
    await rig.containers.logged(pod, 'main', /got hello/);
  });

  it('prints a log, each stream where it belongs', async () => {
    const whole = await run(['pod', 'logs', 'default/cli']);
    assert.equal(whole.code, 0);
    assert.match(whole.stdout, /^started\n/);
    assert.equal(whole.stderr, 'oops\n');
    const tail = await run(['pod', 'logs', '--tail', '1', '--timestamps', 'default/cli']);
    assert.match(tail.stdout, /^\d{4}-\d\d-\d\dT\S+Z \S.*\n$/);
  });

  it('follows a log to the end of the container', async () => {
    const script = 'echo one; read go; echo two; read go; echo three';
    const id = await rig.containers.run(pod, 'follow', ['sh', '-c', script], { ...own, stdin: true });
    await rig.containers.logged(pod, 'follow', /one/);
    const following = run(['pod', 'logs', '-f', '-C', 'follow', 'default/cli']);
    const command = await rig.attach('WebSocket', id, { stdin: true });
    await command.write('go\n');
    await rig.containers.logged(pod, 'follow', /two/);
    await command.write('go\n');
    assert.deepEqual(await following, { code: 0, stdout: 'one\ntwo\nthree\n', stderr: '' });
    await rig.containers.remove(id);
  });

  /** `berth pod logs -f` as it runs. */
  function follow(container: string): {
    shows: (expected: string) => Promise<void>;
    ended: Promise<{ code: number | null; text: string }>;
  } {
    const args = [
      'pod',
      'logs',
      '-f',
      '--address',
      rig.containers.daemon.socket,
      '-C',
      container,
      'default/cli',
    ];
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return {
      shows: async (expected) => {
        await eventually(`it shows ${expected}`, () => (text.includes(expected) ? true : undefined));
      },
      ended: once(child, 'close').then(([code]) => ({ code: code as number | null, text })),
    };
  }

  it('follows a log through rotations, and loses and repeats nothing', async () => {
    const count = 'while :; do n=$((n + 1)); echo $n; [ $((n % 100)) -ne 0 ] || sleep 0.01; done';
    const script = `( ${count} ) & read go; kill $!; wait; echo end`;
    const id = await rig.containers.run(pod, 'rotated', ['sh', '-c', script], { ...own, stdin: true });
    const following = follow('rotated');
    await following.shows('1\n2\n');
    const path = join(rig.containers.logDirectory, 'cli', 'rotated.log');
    const rotate = async (second: number, pauseMs: number): Promise<void> => {
      // As kubelet does it.
      renameSync(path, `${path}.20260102-03040${second}`);
      await sleep(pauseMs);
      await rig.containers.reopenLog(id);
    };
    for (let rotation = 1; rotation <= 8; rotation += 2) {
      await rotate(rotation, 50);
      // At once after it, so that one look may find both.
      await rotate(rotation + 1, 0);
      const [first = ''] = (await rig.containers.logged(pod, 'rotated', /\n/)).split('\n');
      await following.shows(`\n${first}\n`);
    }
    const command = await rig.attach('WebSocket', id, { stdin: true });
    await command.write('go\n');
    const { code, text } = await following.ended;
    const lines = text.split('\n');
    assert.deepEqual([code, ...lines.splice(-2)], [0, 'end', '']);
    assert.ok(lines.length > 500);
    assert.deepEqual(
      lines.filter((line, index) => line !== String(index + 1)),
      [],
    );
    await rig.containers.remove(id);
  });

  it('follows a log that somebody empties, and then removes, to the end of the container', async () => {
    const script = 'while read line; do echo "$line"; done; echo end';
    const more = { ...own, stdin: true, stdinOnce: true };
    const id = await rig.containers.run(pod, 'emptied', ['sh', '-c', script], more);
    const following = follow('emptied');
    const command = await rig.attach('WebSocket', id, { stdin: true });
    const path = join(rig.containers.logDirectory, 'cli', 'emptied.log');
    await command.write('the first line of all\n');
    await following.shows('first');
    truncateSync(path);
    await command.write('second\n');
    await following.shows('second');
    rmSync(path);
    await command.write('third\n');
    await following.shows('third');
    await command.endStdin();
    const text = 'the first line of all\nsecond\nthird\nend\n';
    assert.deepEqual(await following.ended, { code: 0, text });
    await rig.containers.remove(id);
  });

  it('ends with a container that is removed', async () => {
    const id = await rig.containers.run(pod, 'removed', ['sh', '-c', 'echo one; sleep 3600'], own);
    const following = follow('removed');
    await following.shows('one');
    await rig.containers.remove(id);
    assert.deepEqual(await following.ended, { code: 0, text: 'one\n' });
  });

  it('forwards a port', async () => {
    const server = createServer((socket) => socket.end('from the pod'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const host = await rig.containers.runPod('cli-host', {
      linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
    });
    const args = [
      'pod',
      'port-forward',
      '--address',
      rig.containers.daemon.socket,
      host.id,
      `0:${port}`,
      '0:9',
    ];
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    while (told.split('\n').length < 3) await once(child.stdout, 'data');
    const [open = '', closed = ''] = [...told.matchAll(/^127\.0\.0\.1:(\d+) -> \d+$/gm)].map(
      ([, local]) => local,
    );
    assert.equal(await read(Number(open)), 'from the pod');
    assert.equal(await read(Number(closed)), '');
    while (errors === '') await once(child.stderr, 'data');
    assert.match(errors, /connection refused/);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    server.close();
  });
});

async function read(port: number): Promise<string> {
  const { connect } = await import('node:net');
  let text = '';
  for await (const chunk of connect(port, '127.0.0.1')) text += String(chunk);
  return text;
}
