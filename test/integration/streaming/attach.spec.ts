import assert from 'node:assert/strict';
import { eventually } from '../../helpers/fixture.ts';
import { textOf, textUntil } from '../../helpers/streaming/client.ts';
import type { Pod } from '../containers/rig.ts';
import { StreamingRig, TRANSPORTS } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
/** Answers every line. */
const ECHO = ['sh', '-c', 'while read line; do echo "got $line"; done; echo bye'];

describe('streaming attach', () => {
  let rig: StreamingRig;
  let pod: Pod;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('attach');
  });

  after(async () => {
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  for (const transport of TRANSPORTS) {
    const run = (name: string, command: readonly string[], more: object): Promise<string> =>
      rig.containers.run(pod, `${name}-${transport}`, command, { ...own, ...more });

    describe(`over ${transport}`, () => {
      it('serves several clients at once, of which each sees all, and the log too', async () => {
        const id = await run('several', ECHO, { stdin: true });
        const [first, second] = [
          await rig.attach(transport, id, { stdin: true }),
          await rig.attach(transport, id, { stdin: true }),
        ];
        await first.write('one\n');
        for (const { stdout } of [first, second]) assert.equal(await textUntil(stdout, /\n/), 'got one\n');
        await second.write('two\n');
        for (const { stdout } of [first, second]) assert.equal(await textUntil(stdout, /\n/), 'got two\n');
        first.destroy();
        await first.gone;
        await second.write('three\n');
        assert.equal(await textUntil(second.stdout, /\n/), 'got three\n');
        await rig.containers.logged(pod, `several-${transport}`, /got one\ngot two\ngot three\n/);
        await second.close();
        assert.equal((await rig.containers.status(id)).state, 'CONTAINER_RUNNING');
        await rig.containers.stop(id);
      });

      it('ends with the stdin of a client, which is not the end of the container', async () => {
        const id = await run('detach', ECHO, { stdin: true });
        const command = await rig.attach(transport, id, { stdin: true });
        await command.write('one\n');
        assert.equal(await textUntil(command.stdout, /\n/), 'got one\n');
        await command.endStdin();
        assert.match(await command.status, /Success/);
        await command.gone;
        assert.equal((await rig.containers.status(id)).state, 'CONTAINER_RUNNING');
        await rig.containers.stop(id);
      });

      it('ends the stdin of a container that wants it once', async () => {
        const id = await run('once', ECHO, { stdin: true, stdinOnce: true });
        const command = await rig.attach(transport, id, { stdin: true });
        await command.write('last\n');
        await command.endStdin();
        assert.equal(await textOf(command.stdout), 'got last\nbye\n');
        assert.match(await command.status, /Success/);
        assert.equal((await rig.containers.ended(id)).exitCode, 0);
      });

      it('ends the stdin of such a container also when its client vanishes', async () => {
        const id = await run('vanish', ECHO, { stdin: true, stdinOnce: true });
        const command = await rig.attach(transport, id, { stdin: true });
        await command.write('last\n');
        assert.equal(await textUntil(command.stdout, /\n/), 'got last\n');
        command.destroy();
        assert.equal((await rig.containers.ended(id)).exitCode, 0);
      });

      it('brings stderr apart, and ends with the container', async () => {
        const script = 'read go; echo out; echo err >&2; exit 4';
        const id = await run('exit', ['sh', '-c', script], { stdin: true });
        const command = await rig.attach(transport, id, { stdin: true, stderr: true });
        await command.write('go\n');
        assert.deepEqual(await Promise.all([textOf(command.stdout), textOf(command.stderr)]), [
          'out\n',
          'err\n',
        ]);
        assert.match(await command.status, /Success/);
        assert.equal((await rig.containers.ended(id)).exitCode, 4);
      });

      it("follows the size of a client's terminal", async () => {
        const script = 'while [ "$(stty size)" != "33 77" ]; do sleep 0.05; done; echo resized';
        const id = await run('tty', ['sh', '-c', script], { stdin: true, tty: true });
        const command = await rig.attach(transport, id, { stdin: true, tty: true });
        await command.resize(77, 33);
        assert.match(await textUntil(command.stdout, /resized/), /resized/);
        assert.match(await command.status, /Success/);
      });

      it('leaves nothing behind of clients that vanish', async () => {
        const id = await run('many', ECHO, { stdin: true });
        const before = rig.descriptors();
        for (let count = 0; count < 10; count += 1) {
          const command = await rig.attach(transport, id, { stdin: true });
          await command.write('x\n');
          command.destroy();
          await command.gone;
        }
        await eventually('their descriptors are closed', () =>
          rig.descriptors() <= before ? true : undefined,
        );
        await rig.containers.stop(id);
      });
    });
  }

  it('ends the stdin of a container that wants it once while containerd is away, too', async () => {
    const { containers } = rig;
    const id = await containers.run(pod, 'away', ECHO, { ...own, stdin: true, stdinOnce: true });
    const command = await rig.attach('SPDY', id, { stdin: true });
    const dead = containers.enginePid;
    process.kill(dead, 'SIGKILL');
    await command.write('last\n');
    await command.endStdin();
    assert.equal(await textOf(command.stdout), 'got last\nbye\n');
    assert.match(await command.status, /Success/);
    await containers.engineAfter(dead);
    assert.equal((await containers.ended(id)).exitCode, 0);
  });

  it('is refused for a container that has ended', async () => {
    const id = await rig.containers.run(pod, 'ended', ['true'], own);
    await rig.containers.ended(id);
    await assert.rejects(rig.urls.attach(id), /container is in CONTAINER_EXITED state/);
  });
});
