import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { eventually } from '../../helpers/fixture.ts';
import { textOf, textUntil } from '../../helpers/streaming/client.ts';
import { SpdyPorts } from '../../helpers/streaming/spdy.ts';
import { webSocketPorts } from '../../helpers/streaming/websocket.ts';
import type { Pod } from '../containers/rig.ts';
import { StreamingRig, TRANSPORTS, type Transport } from './rig.ts';

const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;
/** Each with 24 execs, attachments and connections, over both transports: 2,400 in all. */
const ROUNDS = 100;
const WARM_UP = 4;
const AT_A_TIME = 8;
const MB = 1024 * 1024;

describe('streaming, thousands of times', () => {
  let rig: StreamingRig;
  let pod: Pod;
  let host: Pod;
  let id: string;
  let server: Server;
  let port: number;

  before(async () => {
    rig = await StreamingRig.start();
    pod = await rig.containers.runPod('soak');
    host = await rig.containers.runPod('soak-host', {
      linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
    });
    id = await rig.containers.run(pod, 'main', ['sh', '-c', 'while read line; do echo "got $line"; done'], {
      ...own,
      stdin: true,
    });
    server = createServer({ allowHalfOpen: true }, (socket) =>
      socket.on('error', () => undefined).pipe(socket),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as { port: number });
  });

  after(async () => {
    server.close();
    await rig.containers.clear();
    await rig[Symbol.asyncDispose]();
  });

  /** Whether this one is cut in the middle: the same ones in every run. */
  function isCut(round: number, index: number): boolean {
    return (round * 7 + index * 3) % 4 === 0;
  }

  async function execOnce(transport: Transport, cut: boolean): Promise<void> {
    const command = await rig.exec(transport, id, ['sh', '-c', 'echo hi; cat'], {
      stdin: true,
      stderr: true,
    });
    if (cut) {
      command.destroy();
      return;
    }
    await command.write('x');
    await command.endStdin();
    assert.equal(await textOf(command.stdout), 'hi\nx');
    await command.close();
  }

  async function attachOnce(transport: Transport, cut: boolean): Promise<void> {
    const command = await rig.attach(transport, id, { stdin: true, stderr: true });
    await command.write('x\n');
    if (cut) command.destroy();
    else {
      assert.match(await textUntil(command.stdout, /got x/), /got x/);
      await command.close();
    }
  }

  async function forwardOnce(transport: Transport, cut: boolean): Promise<void> {
    const url = await rig.urls.portForward(host.id);
    const ports = transport === 'SPDY' ? await SpdyPorts.open(url) : await webSocketPorts(url);
    const connections = Array.from({ length: 10 }, async () => {
      const { data } = ports.connect(port);
      await data.write(Buffer.alloc(10_000, 'x'));
      if (cut) return;
      data.end();
      assert.equal((await textOf(data.input)).length, 10_000);
    });
    await Promise.all(connections);
    ports.destroy();
  }

  async function round(number: number): Promise<void> {
    const jobs = TRANSPORTS.flatMap((transport) =>
      [execOnce, attachOnce, forwardOnce].map((once_, index) => () => once_(transport, isCut(number, index))),
    );
    while (jobs.length > 0) await Promise.all(jobs.splice(0, AT_A_TIME).map((job) => job()));
  }

  function taken(): { descriptors: number; fifos: number; children: number; memory: number } {
    const { pid } = rig.containers.daemon;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      descriptors: rig.descriptors(),
      fifos: rig.fifos().length,
      children: readdirSync(`/proc/${pid}/task`).length + rig.running('echo hi; cat'),
      memory: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024,
    };
  }

  it('leaves no descriptor, FIFO, process, thread and no memory behind, a quarter of them cut', async function () {
    this.timeout(180_000);
    for (let number = 0; number < WARM_UP; number += 1) await round(number);
    const idle = (): boolean => rig.fifos().length === 1 && rig.running('echo hi; cat') === 0;
    await eventually('it is idle', () => (idle() ? true : undefined));
    const before = taken();
    for (let number = 0; number < ROUNDS; number += 1) await round(number);
    await eventually('what was used is given back', () => {
      const after = taken();
      return after.descriptors <= before.descriptors &&
        after.fifos <= before.fifos &&
        after.children <= before.children
        ? true
        : undefined;
    }).catch((error: unknown) => {
      throw new Error(`before ${JSON.stringify(before)}, after ${JSON.stringify(taken())}`, { cause: error });
    });
    // A heap that was warm grows by what its collector likes, not by what each stream would leave.
    const grown = taken().memory - before.memory;
    assert.ok(grown < 60 * MB, `${Math.round(grown / MB)} MB more resident memory`);
  });
});
