import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
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
