import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { ExecInvoke } from '../../../../../src/network/cni/invoke/exec-invoke.ts';
import { PluginError, type PluginRequest } from '../../../../../src/network/cni/invoke/invoke.ts';
import { eventually } from '../../../../helpers/fixture.ts';

const never = new AbortController().signal;

async function failureOf(promise: Promise<unknown>): Promise<PluginError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof PluginError, `expected a PluginError, got ${String(error)}`);
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
}

/** Waits until a process is gone, or a zombie that only its new parent has to collect. */
async function untilDead(pid: number): Promise<void> {
  await eventually(`process ${pid} has ended`, async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
    return /\) [ZX]/.test(stat) || undefined;
  });
}

describe('plugins as executables', () => {
  let dir: string;
  let invoke: ExecInvoke;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'brt-exec-'));
    invoke = new ExecInvoke({ PATH: process.env['PATH'], INHERITED: 'yes', DIR: dir, CNI_ARGS: 'old' });
  });
  afterEach(() => rm(dir, { recursive: true }));

  async function plugin(name: string, script: string): Promise<void> {
    await writeFile(join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  function request(type: string, changes: Partial<PluginRequest> = {}): PluginRequest {
    const base = {
      verb: 'ADD',
      containerId: 'c1',
      netns: '/run/netns/n',
      ifName: 'eth0',
      args: 'A=1',
    } as const;
    return { ...base, type, path: [dir], config: { name: 'net', type }, ...changes };
  }
  async function run(script: string, signal: AbortSignal = never) {
    await plugin('p', script);
    return invoke.invoke(request('p'), { signal });
  }
  function pidIn(file: string): Promise<number> {
    return eventually(`a pid in ${file}`, async () => {
      const text = existsSync(join(dir, file)) ? await readFile(join(dir, file), 'utf8') : '';
      return text.endsWith('\n') ? Number(text) : undefined;
    });
  }

  it('are given the protocol in their environment and the configuration on stdin', async () => {
    const reply = await run(
      'cat > "$DIR/stdin"; echo "{\\"env\\":\\"$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $CNI_PATH $INHERITED\\"}"; echo said >&2',
    );
    assert.deepEqual(reply, {
      output: { env: `ADD c1 /run/netns/n eth0 A=1 ${dir} yes` },
      provider: join(dir, 'p'),
      stderr: 'said\n',
    });
    assert.deepEqual(JSON.parse(await readFile(join(dir, 'stdin'), 'utf8')), { name: 'net', type: 'p' });
  });

  it('may print nothing, and may leave their input unread', async () => {
    const config = { name: 'net', type: 'p', big: 'x'.repeat(1_000_000) };
    await plugin('p', 'exec <&-; exit 0');
    assert.equal((await invoke.invoke(request('p', { config }), { signal: never })).output, undefined);
  });

  it('are not run by a dry run, which they cannot know of, nor when only built-in plugins are asked', async () => {
    await plugin('p', `touch ${dir}/ran`);
    const gc = request('p', { verb: 'GC' });
    for (const hints of [{ dryRun: true }, { builtinsOnly: true }]) {
      assert.equal((await invoke.invoke({ ...gc, hints }, { signal: never })).output, undefined);
      assert.equal((await readdir(dir)).includes('ran'), false);
    }
    await invoke.invoke({ ...gc, hints: { dryRun: false, builtinsOnly: false } }, { signal: never });
    assert.equal((await readdir(dir)).includes('ran'), true);
  });

  for (const code of [3, 11, 100]) {
    it(`fail with the code ${code} that they print`, async () => {
      const error = await failureOf(
        run(
          `echo '{"cniVersion":"1.0.0","code":${code},"msg":"no","details":"because"}'; echo hint >&2; exit 1`,
        ),
      );
      assert.equal(error.code, code);
      assert.equal(error.message, 'no; because');
      assert.equal(error.details, 'because');
      assert.equal(error.stderr, 'hint\n');
      assert.equal(error.provider, join(dir, 'p'));
    });
  }

  for (const [what, script, problem] of [
    ['say nothing', 'exit 3', /^netplugin failed with no error message: exit status 3$/],
    ['only use stderr', 'echo "it broke" >&2; exit 1', /^netplugin failed: it broke \(exit status 1\)$/],
    [
      'print garbage',
      'echo oops; exit 1',
      /^netplugin failed but error parsing its diagnostic message "oops\\n": /,
    ],
    ['print something else', 'echo "{\\"a\\":1}"; exit 1', /^netplugin failed and printed no error object: /],
    [
      'print an error without text',
      'echo "{\\"code\\":5}"; exit 1',
      /^netplugin failed with no error message: exit status 1$/,
    ],
    ['are killed by a signal', 'kill -9 $$', /^netplugin failed with no error message: signal: SIGKILL$/],
    ['print garbage and succeed', 'echo oops', /^netplugin printed invalid JSON "oops\\n": /],
    [
      'print half an object and succeed',
      'printf \'{"ips":[\'',
      /^netplugin printed invalid JSON "\{\\"ips\\":\[": /,
    ],
    ['print an error object and succeed', 'echo \'{"code":7,"msg":"bad config"}\'', /^bad config$/],
  ] as const) {
    it(`are an error when they ${what}`, async () => {
      assert.match((await failureOf(run(script))).message, problem);
    });
  }

  it('are killed when they print without end', async () => {
    const error = await failureOf(run('echo $$ > "$DIR/pid"; exec cat /dev/zero'));
    assert.match(error.message, /^netplugin printed more than 4194304 bytes and was killed$/);
    await untilDead(await pidIn('pid'));
  });

  it('keep the last 4 KiB of what they say on stderr', async () => {
    const reply = await run(
      'i=0; while [ $i -lt 900 ]; do echo "line $i ........" >&2; i=$((i+1)); done; echo last >&2',
    );
    assert.equal(reply.stderr.length, 4096);
    assert.ok(reply.stderr.endsWith('line 899 ........\nlast\n'));
  });

  it('die at the deadline with all their children', async () => {
    const controller = new AbortController();
    const running = failureOf(
      run(
        'echo stuck >&2; sleep 600 & echo $! > "$DIR/child"; echo $$ > "$DIR/pid"; wait',
        controller.signal,
      ),
    );
    await plugin('deaf', 'trap "" TERM; echo $$ > "$DIR/deaf.pid"; while :; do sleep 600; done');
    const deaf = failureOf(invoke.invoke(request('deaf'), { signal: controller.signal }));
    const [child, pid] = [await pidIn('child'), await pidIn('pid')];
    await pidIn('deaf.pid');
    const ended: string[] = [];
    void deaf.then(() => ended.push('deaf'));
    controller.abort(new Error('too late'));
    const error = await running;
    assert.deepEqual(ended, [], 'a plugin that heeds SIGTERM needs no grace');
    await deaf;
    assert.equal((error.cause as Error).message, 'too late');
    assert.equal(error.stderr, 'stuck\n');
    await untilDead(child);
    await untilDead(pid);
  });

  it('die at the deadline also when they ignore SIGTERM', async () => {
    const controller = new AbortController();
    const running = failureOf(
      run(
        'trap "" TERM; sleep 600 & echo $! > "$DIR/child"; echo $$ > "$DIR/pid"; while :; do sleep 600; done',
        controller.signal,
      ),
    );
    const [child, pid] = [await pidIn('child'), await pidIn('pid')];
    controller.abort(new Error('too late'));
    await running;
    await untilDead(child);
    await untilDead(pid);
  });

  it('are not waited for by way of a child that holds their output', async () => {
    const reply = await run('sleep 600 & echo $! > "$DIR/child"; echo "{\\"ok\\":1}"');
    assert.deepEqual(reply.output, { ok: 1 });
    const child = await pidIn('child');
    // What a plugin leaves running on purpose is left alone: this throws when it is gone.
    process.kill(child);
  });

  it('are not started after the deadline', async () => {
    await plugin('p', 'touch "$DIR/ran"');
    await assert.rejects(
      invoke.invoke(request('p'), { signal: AbortSignal.abort(new Error('too late')) }),
      /too late/,
    );
    assert.ok(!existsSync(join(dir, 'ran')));
  });

  it('are told of with pid and start time while they run', async () => {
    const told: ({ pid: number; startTime: string } | undefined)[] = [];
    await plugin('p', 'echo "$$ $(cut -d" " -f22 /proc/$$/stat)" > "$DIR/self"');
    await invoke.invoke(request('p'), { signal: never, onProcess: (process) => told.push(process) });
    const [pid, startTime] = (await readFile(join(dir, 'self'), 'utf8')).trim().split(' ');
    assert.deepEqual(told, [{ pid: Number(pid), startTime }, undefined]);
  });

  it('are found along the path: the first regular file that may be executed', async () => {
    const second = join(dir, 'second');
    await mkdir(second);
    await mkdir(join(dir, 'a'));
    await writeFile(join(second, 'a'), '#!/bin/sh\necho 1\n', { mode: 0o755 });
    const path = [join(dir, 'none'), dir, second];
    assert.equal(
      (await invoke.invoke(request('a', { path }), { signal: never })).provider,
      join(second, 'a'),
    );
  });

  it('are an error that says where it looked when there is none', async () => {
    await plugin('p', 'true');
    await chmod(join(dir, 'p'), 0o644);
    const path = ['/nowhere', dir];
    assert.equal(
      (await failureOf(invoke.invoke(request('p', { path }), { signal: never }))).message,
      `failed to find plugin "p" in path [/nowhere ${dir}] (${dir}/p is not executable)`,
    );
  });

  for (const type of ['../sh', '/bin/sh', '..', '', 'a\0b']) {
    it(`are refused by the name ${JSON.stringify(type)}`, async () => {
      assert.match(
        (await failureOf(invoke.invoke(request(type), { signal: never }))).message,
        /^invalid plugin name/,
      );
    });
  }

  for (const text of ['', 'true', '\x7fELL'] as const) {
    it(`are an error when the file is no program but ${JSON.stringify(text)}`, async () => {
      await writeFile(join(dir, 'p'), text, { mode: 0o755 });
      const error = await failureOf(invoke.invoke(request('p'), { signal: never }));
      assert.match(error.message, /^failed to find plugin "p" .*\/p is neither a program nor a script\)$/);
    });
  }

  it('are an error when they cannot be started', async () => {
    await writeFile(join(dir, 'p'), '#!/nowhere/interpreter\n', { mode: 0o755 });
    assert.match(
      (await failureOf(invoke.invoke(request('p'), { signal: never }))).message,
      /^failed to start .*\/p: .*no such file or directory/s,
    );
  });

  it('are tried again while they are being written', async () => {
    await plugin('p', 'echo 1');
    const writer = await open(join(dir, 'p'), 'r+');
    const running = invoke.invoke(request('p'), { signal: never });
    await after(80);
    await writer.close();
    assert.equal((await running).output, 1);
  });

  it('are asked for their VERSION once, and again when the file changed', async () => {
    await plugin('p', 'echo x >> "$DIR/asked"; echo "{\\"supportedVersions\\":[\\"1.0.0\\"]}"');
    const ask = () => invoke.invoke(request('p', { verb: 'VERSION' }), { signal: never });
    await ask();
    assert.deepEqual((await ask()).output, { supportedVersions: ['1.0.0'] });
    assert.equal(await readFile(join(dir, 'asked'), 'utf8'), 'x\n');
    await utimes(join(dir, 'p'), 1, 1);
    await ask();
    assert.equal(await readFile(join(dir, 'asked'), 'utf8'), 'x\nx\n');
  });
});
