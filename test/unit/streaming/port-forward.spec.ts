import assert from 'node:assert/strict';
import { Serving } from '../../helpers/streaming/serving.ts';
import { textOf } from '../../helpers/streaming/client.ts';
import { SpdyPorts } from '../../helpers/streaming/spdy.ts';
import { Channels, webSocketPorts } from '../../helpers/streaming/websocket.ts';

const PORTS = { kind: 'portforward', podSandboxId: 'p', ports: [] } as const;

describe("the streaming server's port forwarding", () => {
  const serving = new Serving();
  const serve = serving.serve.bind(serving);

  afterEach(() => serving.end());

  for (const type of ['error', 'data'] as const) {
    it(`gives up the ${type} stream of a port whose partner does not come, and serves the others`, async () => {
      const server = await serve({ connect: await serving.echoPort() }, { creationMs: 100 });
      const ports = await SpdyPorts.open(server.urlFor(PORTS));
      const alone = ports.session.open(
        new Map([
          ['streamtype', type],
          ['port', '80'],
          ['requestid', 'alone'],
        ]),
      );
      const { data } = ports.connect(80);
      if (type === 'data') await assert.rejects(textOf(alone.input), /reset/);
      else {
        assert.equal(await textOf(alone.input), '(request=alone) timed out waiting for streams');
        alone.end();
      }
      await data.write(Buffer.from('other'));
      data.end();
      assert.equal(await textOf(data.input), 'other');
      assert.equal(ports.session.size, 0);
      ports.destroy();
    });
  }

  for (const [name, open] of [
    ['SPDY', (url: string) => SpdyPorts.open(url)],
    ['SPDY in WebSocket', webSocketPorts],
  ] as const) {
    it(`forwards many connections at once over ${name}, with half-close`, async () => {
      const server = await serve({ connect: await serving.echoPort() });
      const ports = await open(server.urlFor(PORTS));
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const { data, failure } = ports.connect(80);
          await data.write(Buffer.from(`hello ${index}`));
          data.end();
          assert.equal(await textOf(data.input), `hello ${index}`);
          assert.equal(await failure, '');
        }),
      );
      assert.equal(ports.session.size, 0);
      ports.destroy();
    });

    it(`tells over ${name} why a port cannot be reached`, async () => {
      const server = await serve({});
      const ports = await open(server.urlFor(PORTS));
      const { data, failure } = ports.connect(80);
      assert.equal(await failure, 'error forwarding port 80 to pod p, uid : nobody listens');
      assert.equal(await textOf(data.input), '');
      ports.destroy();
    });
  }

  for (const protocol of ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io']) {
    it(`forwards the ports of the request over WebSocket ${protocol}`, async () => {
      const connectTo = await serving.echoPort();
      const asked: number[] = [];
      const server = await serve({
        connect: async (id, port, signal) => {
          asked.push(port);
          if (port === 81) throw new Error('refused');
          return connectTo(id, port, signal);
        },
      });
      const url = server.urlFor({ kind: 'portforward', podSandboxId: 'p', ports: [8080, 81] });
      const channels = await Channels.open(url, [protocol], 4);
      await channels.send(0, Buffer.from('hello'));
      const read = async (index: number): Promise<string> => {
        const next = await channels.inputs[index]?.next();
        return Buffer.from((next?.value ?? Buffer.alloc(0)) as Uint8Array).toString('latin1');
      };
      assert.deepEqual([await read(0), await read(1)], ['\x90\x1f', '\x90\x1f']);
      assert.deepEqual([await read(2), await read(3)], ['\x51\0', '\x51\0']);
      assert.equal(await read(0), 'hello');
      assert.match(await read(3), /^error forwarding port 81 to pod p, uid : refused$/);
      assert.deepEqual(asked, [8080, 81]);
      await channels.close();
    });
  }

  it('refuses streams that name no port', async () => {
    const server = await serve({});
    const ports = await SpdyPorts.open(server.urlFor(PORTS));
    for (const port of ['0', '65536', 'http', '-1', '']) {
      const stream = ports.session.open(
        new Map([
          ['streamtype', 'data'],
          ['port', port],
        ]),
      );
      await assert.rejects(textOf(stream.input), /reset/);
    }
    ports.destroy();
  });
});
