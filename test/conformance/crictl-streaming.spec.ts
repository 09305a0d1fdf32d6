import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { execa } from 'execa';
import type { Pod } from '../integration/containers/rig.ts';
import { StreamingRig } from '../integration/streaming/rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

describe('crictl exec, attach and port-forward', () => {
  let rig: StreamingRig;
  let pod: Pod;
  let id: string;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('crictl');
    const script = 'while read line; do echo "got $line"; done';
    id = await rig.containers.run(pod, 'main', ['sh', '-c', script], { ...own, stdin: true });
  });

  after(async () => {
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  function command(...args: string[]): [string, string[]] {
    const program = process.env['CRICTL'];
    assert.ok(program, 'CRICTL is not set: run this through npm run conformance');
    const endpoint = `unix://${rig.containers.daemon.socket}`;
    return [program, ['--runtime-endpoint', endpoint, '--image-endpoint', endpoint, ...args]];
  }

  function crictl(
    args: readonly string[],
    input = '',
  ): Promise<{ exitCode?: number; stdout: string; stderr: string }> {
    const [file, all] = command(...args);
    return execa(file, all, { input, reject: false, timeout: 20_000 });
  }

  for (const transport of ['spdy', 'websocket']) {
    it(`runs a command over ${transport}, with stdin and an exit code`, async () => {
      const done = await crictl(
        ['exec', '-i', '-r', transport, id, 'sh', '-c', 'cat; echo err >&2; exit 0'],
        'in',
      );
      // Before it crictl may say that it has no configuration.
      assert.deepEqual([done.stdout, done.stderr.split('\n').at(-1), done.exitCode], ['in', 'err', 0]);
      const failed = await crictl(['exec', '-r', transport, id, 'sh', '-c', 'exit 3']);
      assert.notEqual(failed.exitCode, 0);
      assert.match(failed.stderr, /exit code 3/);
    });

    it(`runs a shell in a terminal over ${transport}`, async () => {
      const [file, args] = command('exec', '-it', '-r', transport, id, 'sh');
      const line = [file, ...args].join(' ');
      // script(1) gives crictl a terminal.
      const child = spawn('script', ['-qec', `stty rows 31 cols 97; ${line}`, '/dev/null'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.stdin.write(
        'while [ "$(stty size)" != "31 97" ]; do sleep 0.05; done; echo "term $TERM"; exit\n',
      );
      await once(child, 'close');
      assert.match(text, /term xterm/);
    });

    it(`attaches over ${transport}`, async () => {
      const [file, args] = command('attach', '-i', '-r', transport, id);
      const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      child.stdin.write('hello\n');
      while (!text.includes('got hello')) await once(child.stdout, 'data');
      child.stdin.end();
      await once(child, 'close');
    });

    it(`forwards a port over ${transport}`, async () => {
      const server = createServer((socket) => socket.end('from the pod'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const host = await rig.containers.runPod(`host-${transport}`, {
        linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
      });
      const [file, args] = command('port-forward', '-r', transport, host.id, `:${port}`);
      const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let told = '';
      child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
      while (!/127\.0\.0\.1:(\d+) -> /.test(told)) await once(child.stdout, 'data');
      const local = Number(/127\.0\.0\.1:(\d+) -> /.exec(told)?.[1]);
      let text = '';
      for await (const chunk of connect(local, '127.0.0.1')) text += String(chunk);
      assert.equal(text, 'from the pod');
      child.kill('SIGINT');
      await once(child, 'close');
      server.close();
    });
  }
});
