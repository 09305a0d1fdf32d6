import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { eventually } from '../../helpers/fixture.ts';
import { bytesOf, type Command, textOf, textUntil } from '../../helpers/streaming/client.ts';
import type { Pod } from '../containers/rig.ts';
import { StreamingRig, TRANSPORTS } from './rig.ts';

const FOREVER = ['sleep', '3600'];

describe('streaming exec', () => {
  let rig: StreamingRig;
  let pod: Pod;
  let id: string;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('exec');
    id = await rig.containers.run(pod, 'main', FOREVER);
  });

  after(async () => {
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  for (const transport of TRANSPORTS) {
    describe(`over ${transport}`, () => {
      it('keeps stdout and stderr apart and tells the exit code', async () => {
        const command = await rig.exec(transport, id, ['sh', '-c', 'echo out; echo err >&2; exit 5'], {
          stderr: true,
        });
        assert.deepEqual(await Promise.all([textOf(command.stdout), textOf(command.stderr)]), [
          'out\n',
          'err\n',
        ]);
        const told = JSON.parse(await command.status) as { reason: string; details: object; message: string };
        assert.equal(told.reason, 'NonZeroExitCode');
        assert.deepEqual(told.details, { causes: [{ reason: 'ExitCode', message: '5' }] });
        assert.match(told.message, /^command terminated with non-zero exit code: /);
        await command.close();
      });

      it('is a success when the command is', async () => {
        const command = await rig.exec(transport, id, ['true']);
        assert.deepEqual(JSON.parse(await command.status), { metadata: {}, status: 'Success' });
        await command.close();
      });

      it('gives the command its stdin, and the end of it', async () => {
        const command = await rig.exec(transport, id, ['sh', '-c', 'cat; echo end'], { stdin: true });
        const sent = randomBytes(300_000).toString('hex');
        const taken = textOf(command.stdout);
        await command.write(sent);
        await command.endStdin();
        assert.match(await command.status, /Success/);
        assert.ok((await taken) === `${sent}end\n`);
        await command.close();
      });

      it('gives stdin that came and ended before the command began', async () => {
        const command = await rig.exec(transport, id, ['cat'], { stdin: true });
        await command.write('quick');
        await command.endStdin();
        assert.equal(await textOf(command.stdout), 'quick');
        await command.close();
      });

      it('brings all of a large output', async () => {
        const script = 'busybox dd if=/dev/zero bs=1M count=20 2>/dev/null';
        const command = await rig.exec(transport, id, ['sh', '-c', script]);
        assert.equal((await bytesOf(command.stdout)).length, 20 << 20);
        await command.close();
      });

      it('carries archives of 100 MB in and out, as kubectl cp does', async function () {
        this.timeout(120_000);
        const sent = createHash('sha256');
        const back = createHash('sha256');
        const into = await rig.exec(transport, id, ['sh', '-c', 'cat > /archive'], {
          stdin: true,
          stderr: true,
        });
        for (let megabyte = 0; megabyte < 100; megabyte += 1) {
          const bytes = randomBytes(1 << 20);
          sent.update(bytes);
          await into.write(bytes);
        }
        await into.endStdin();
        assert.match(await into.status, /Success/);
        await into.close();
        const from = await rig.exec(transport, id, ['sh', '-c', 'cat /archive; busybox rm /archive'], {
          stderr: true,
        });
        let length = 0;
        for await (const chunk of from.stdout ?? []) {
          back.update(chunk);
          length += chunk.length;
        }
        assert.equal(length, 100 << 20);
        assert.equal(back.digest('hex'), sent.digest('hex'));
        assert.match(await from.status, /Success/);
        await from.close();
      });

      it('carries both directions at once, however the client reads', async () => {
        const command = await rig.exec(transport, id, ['cat'], { stdin: true });
        const bytes = randomBytes(8 << 20);
        const sending = (async () => {
          for (let at = 0; at < bytes.length; at += 300_000)
            await command.write(bytes.subarray(at, at + 300_000));
          await command.endStdin();
        })();
        // Before anything is read both the command and the client have to wait.
        await sleep(300);
        assert.ok((await bytesOf(command.stdout)).equals(bytes));
        await sending;
        assert.match(await command.status, /Success/);
        await command.close();
      });

      it('does not wait for stdin that nobody reads, nor for its end', async () => {
        const command = await rig.exec(transport, id, ['sh', '-c', 'read line; echo "got $line"'], {
          stdin: true,
        });
        const sending = (async () => {
          await command.write('first\n');
          for (let megabyte = 0; megabyte < 20; megabyte += 1)
            await command.write(Buffer.alloc(1 << 20, 'x\n'));
        })();
        sending.catch(() => undefined);
        assert.equal(await textOf(command.stdout), 'got first\n');
        assert.match(await command.status, /Success/);
        command.destroy();
        await rig.settled(id, 'read line; echo "got $line"');
      });

      it('has the last of many sizes that come at once', async () => {
        const command = await rig.exec(transport, id, ['sh'], { stdin: true, tty: true });
        await Promise.all(Array.from({ length: 500 }, (_, index) => command.resize(20 + index, 10 + index)));
        await command.write('while [ "$(stty size)" != "509 519" ]; do sleep 0.05; done; exit 4\n');
        assert.match(await command.status, /"message":"4"/);
        await command.close();
      });

      it('has a terminal whose size follows the client', async () => {
        const options = { stdin: true, tty: true };
        const command = await rig.exec(transport, id, ['sh'], options);
        await command.resize(91, 37);
        // The size travels beside the input: it is asked for until it is there.
        await command.write('while [ "$(stty size)" != "37 91" ]; do sleep 0.05; done; echo "term $TERM"\n');
        await textUntil(command.stdout, /term xterm\r\n/);
        await command.resize(40, 12);
        await command.write('while [ "$(stty size)" != "12 40" ]; do sleep 0.05; done; exit 3\n');
        assert.match(await command.status, /"message":"3"/);
        await command.close();
      });

      it('is not over with the stdin of a terminal', async () => {
        const options = { stdin: true, tty: true };
        const command = await rig.exec(transport, id, ['sh', '-c', 'sleep 0.5; echo still here'], options);
        await command.endStdin();
        assert.match(await textOf(command.stdout), /still here/);
        await command.close();
      });

      it('says what cannot be executed', async () => {
        const command = await rig.exec(transport, id, ['no-such-program']);
        const told = JSON.parse(await command.status) as { reason: string; message: string };
        assert.equal(told.reason, 'InternalError');
        assert.match(
          told.message,
          /error executing command in container: failed to exec in container: .*no-such-program/s,
        );
        await command.close();
        await rig.settled(id, 'no-such-program');
      });

      it('ends the command of a client that vanishes, whatever it does', async () => {
        const before = rig.descriptors();
        const scripts = {
          waits: 'exec sleep 4711',
          writes: 'while :; do echo 4711; done',
          reads: 'read line',
        };
        for (const script of Object.values(scripts)) {
          const command = await rig.exec(transport, id, ['sh', '-c', script, '4711'], { stdin: true });
          await eventually('it runs', () => (rig.running('4711') > 0 ? true : undefined));
          command.destroy();
          await command.gone;
        }
        await rig.settled(id, '4711');
        await eventually('its descriptors are closed', () =>
          rig.descriptors() <= before ? true : undefined,
        );
      });

      it('ends the command of a client that vanishes while it begins', async () => {
        for (let ms = 0; ms < 60; ms += 6) {
          const command = await rig.exec(transport, id, ['sh', '-c', 'exec sleep 4712', '4712'], {
            stdin: true,
          });
          await sleep(ms);
          command.destroy();
        }
        await rig.settled(id, '4712');
      });

      it('waits for a client that does not read, and goes on with others', async () => {
        const slow = await rig.exec(transport, id, [
          'sh',
          '-c',
          'busybox dd if=/dev/zero bs=1M count=50 2>/dev/null',
        ]);
        await sleep(300);
        const quick = await rig.exec(transport, id, ['echo', 'quick']);
        assert.equal(await textOf(quick.stdout), 'quick\n');
        assert.equal((await bytesOf(slow.stdout)).length, 50 << 20);
        assert.match(await slow.status, /Success/);
        await Promise.all([slow.close(), quick.close()]);
      });

      it('ends when the container does', async () => {
        const doomed = await rig.containers.run(pod, `doomed-${transport}`, FOREVER);
        const command = await rig.exec(transport, doomed, ['sh', '-c', 'echo up; sleep 3600'], {
          stdin: true,
        });
        assert.equal(await textUntil(command.stdout, /up\n/), 'up\n');
        await rig.containers.stop(doomed);
        assert.match(await command.status, /"message":"137"/);
        await command.close();
        await rig.containers.remove(doomed);
      });
    });
  }

  it('does not wait for a child that has kept the output', async () => {
    const began = Date.now();
    const command = await rig.exec('SPDY', id, ['sh', '-c', 'sleep 60 & echo done']);
    assert.equal(await textOf(command.stdout), 'done\n');
    assert.match(await command.status, /Success/);
    assert.ok(Date.now() - began < 30_000);
    await command.close();
  });

  it('refuses what containerd refuses, in its words', async () => {
    const { INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION } = status;
    const failing = (code: number, details: RegExp) => (error: { code: number; details: string }) => {
      assert.equal(error.code, code);
      assert.match(error.details, details);
      return true;
    };
    await assert.rejects(
      rig.urls.exec(id, ['x'], { tty: true, stderr: true }),
      failing(INVALID_ARGUMENT, /^tty and stderr cannot both be true$/),
    );
    await assert.rejects(
      rig.urls.exec(id, ['x'], { stdout: false }),
      failing(INVALID_ARGUMENT, /^one of stdin, stdout, or stderr must be set$/),
    );
    await assert.rejects(rig.urls.exec(id, []), failing(INVALID_ARGUMENT, /cmd/));
    await assert.rejects(rig.urls.exec('f'.repeat(64), ['x']), failing(NOT_FOUND, /not found/));
    await assert.rejects(rig.urls.attach('', {}), failing(INVALID_ARGUMENT, /container_id/));
    const created = await rig.containers.create(pod, 'created', FOREVER);
    await assert.rejects(
      rig.urls.exec(created, ['x']),
      failing(FAILED_PRECONDITION, /^container is in CONTAINER_CREATED state$/),
    );
    await assert.rejects(
      rig.urls.attach(created),
      failing(FAILED_PRECONDITION, /^container is in CONTAINER_CREATED state$/),
    );
  });

  it('has 1,000 URLs wait at a time', async () => {
    const urls: string[] = [];
    const failure = await (async () => {
      for (let count = 0; count < 1_001; count += 1) urls.push(await rig.urls.exec(id, ['true']));
    })().catch((error: unknown) => error as { code: number; details: string });
    assert.equal(failure?.code, status.RESOURCE_EXHAUSTED);
    assert.equal(failure.details, 'maximum number of in-flight requests exceeded');
    assert.ok(urls.length > 900);
    for (const url of urls) await fetch(url);
    await rig.urls.exec(id, ['true']);
  });

  it('ends its commands when Berth does', async () => {
    const { daemon } = rig.containers;
    const command = await rig.exec('SPDY', id, ['sleep', '4713'], { stdin: true });
    await eventually('it runs', () => (rig.running('4713') > 0 ? true : undefined));
    assert.equal(await daemon.stop(), 0);
    await command.gone;
    assert.equal(rig.running('4713'), 0);
    await daemon.start();
    await rig.settled(id, '4713');
  });

  it('ends what a killed Berth has left without a client, and nothing else', async () => {
    const { daemon } = rig.containers;
    const clients = [
      await rig.exec('SPDY', id, ['sleep', '4714'], { stdin: true }),
      await rig.exec('WebSocket', id, ['sh', '-c', 'while :; do echo 4714; done', '4714'], {
        stdin: true,
        tty: true,
      }),
    ];
    const probe = rig.containers.exec(id, ['sleep', '4714']).catch(() => undefined);
    await rig.containers.ctr('tasks', 'exec', '--detach', '--exec-id', 'another', id, 'sleep', '4715');
    await eventually('all run', () =>
      rig.running('4714') === 3 && rig.running('4715') === 1 ? true : undefined,
    );
    await daemon.kill();
    await Promise.all([probe, ...clients.map(({ gone }) => gone)]);
    assert.equal(rig.running('4714'), 3);
    // As if it had been killed before the FIFOs were made, and the process.
    mkdirSync(join(rig.containers.state, 'io', `${id}.${'0'.repeat(32)}`));
    await daemon.start();
    await rig.settled(id, '4714');
    assert.equal(rig.running('4715'), 1);
    assert.equal((await rig.containers.status(id)).state, 'CONTAINER_RUNNING');
    // The shim has forgotten them, too.
    const listed = await rig.containers.ctr('tasks', 'ps', id);
    assert.equal(listed.match(/exec_?id/gi)?.length, 1, listed);
    await rig.containers.ctr('tasks', 'kill', '--exec-id', 'another', '--signal', 'SIGKILL', id);
  });

  it('goes on while containerd is killed, and begins while there is none', async () => {
    const { containers } = rig;
    const script = 'while read line; do echo got $line; done; exit 6';
    const begin = (): Promise<Command> => rig.exec('SPDY', id, ['sh', '-c', script, '4716'], { stdin: true });
    const say = async (command: Command, line: string): Promise<void> => {
      await command.write(`${line}\n`);
      await textUntil(command.stdout, new RegExp(`got ${line}`));
    };
    const before = await begin();
    await say(before, 'one');
    const dead = containers.enginePid;
    process.kill(dead, 'SIGKILL');
    const meanwhile = await begin();
    await say(meanwhile, 'two');
    await say(before, 'three');
    await containers.engineAfter(dead);
    for (const command of [before, meanwhile]) {
      await command.endStdin();
      assert.match(await command.status, /"ExitCode","message":"6"/);
      await command.close();
    }
    await rig.settled(id, '4716');
  });

  it('leaves nothing of an ExecSync that is cancelled, whenever that is', async () => {
    const request = { containerId: id, cmd: ['sleep', '4717'], timeout: 0 };
    for (let ms = 0; ms < 80; ms += 5) {
      const { runtime } = rig.containers.daemon.client;
      await new Promise<void>((resolve) => {
        const call = runtime.execSync(request, (error) => {
          assert.equal(error?.code, status.CANCELLED);
          resolve();
        });
        setTimeout(() => call.cancel(), ms);
      });
    }
    await rig.settled(id, '4717');
  });

  it('leaves nothing of an ExecSync that takes too long', async () => {
    const execution = rig.containers.exec(id, ['sleep', '4718'], 1);
    await assert.rejects(execution, { code: status.DEADLINE_EXCEEDED });
    await rig.settled(id, '4718');
  });
});
