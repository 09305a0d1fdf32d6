import assert from 'node:assert/strict';
import { type Command, type CommandOptions, textOf, textUntil } from '../../helpers/streaming/client.ts';
import { spdyCommand, SpdyPorts } from '../../helpers/streaming/spdy.ts';
import { Channels, webSocketCommand, webSocketPorts } from '../../helpers/streaming/websocket.ts';
import { type Pod, shell } from './pods.ts';
import { KubeletRig, SPEC_MS } from './rig.ts';
import { TlsTunnel } from './tls-tunnel.ts';

interface Transport {
  readonly name: string;
  readonly open: (url: string, options: CommandOptions) => Promise<Command>;
}

const TRANSPORTS: readonly Transport[] = [
  { name: 'SPDY', open: spdyCommand },
  {
    name: 'WebSocket, which kubelet hands on',
    open: (url, options) => webSocketCommand(url, { ...options, protocols: ['v4.channel.k8s.io'] }),
  },
  { name: 'WebSocket v5, which kubelet turns into SPDY', open: webSocketCommand },
];

describe("streams through kubelet's own endpoint", function () {
  this.timeout(SPEC_MS);
  let rig: KubeletRig;
  let tunnel: TlsTunnel;
  let pod: Pod;

  before(async () => {
    rig = await KubeletRig.start();
    tunnel = await TlsTunnel.open(rig.kubelet.endpoint);
    pod = await rig.run({
      name: 'served',
      spec: {
        containers: [
          // Answers on two ports, and says what comes on its stdin.
          shell(
            'one',
            'mkdir /www; echo one > /www/index.html; httpd -p 8080 -h /www; httpd -p 127.0.0.1:8081 -h /www; ' +
              'while read -r line; do echo "said $line"; done; exec sleep 3600',
            { stdin: true, readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } },
          ),
        ],
      },
    });
  });

  after(async () => {
    await tunnel[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });

  function url(verb: string, query: Readonly<Record<string, string | readonly string[]>>): string {
    const { namespace, name } = pod.metadata;
    const container = verb === 'portForward' ? '' : '/one';
    const parameters = new URLSearchParams();
    for (const [key, values] of Object.entries(query))
      for (const value of [values].flat()) parameters.append(key, value);
    return `${tunnel.url}/${verb}/${namespace}/${name}${container}?${parameters.toString()}`;
  }

  for (const { name, open } of TRANSPORTS) {
    describe(`over ${name}`, () => {
      it('exec: stdin to its end, stdout and stderr apart, and the exit code', async () => {
        const command = ['sh', '-c', 'cat; echo bad >&2; exit 3'];
        const streams = { stdin: true, stdout: true, stderr: true };
        // The end of stdin alone is nothing that v4 over WebSocket can say.
        const ends = !name.includes('hands on');
        const script = ends ? command : ['sh', '-c', 'head -n 1; echo bad >&2; exit 3'];
        const exec = await open(
          url('exec', { command: script, input: '1', output: '1', error: '1' }),
          streams,
        );
        await exec.write('typed\n');
        if (ends) await exec.endStdin();
        const [stdout, stderr, status] = await Promise.all([
          textOf(exec.stdout),
          textOf(exec.stderr),
          exec.status,
        ]);
        assert.equal(stdout, 'typed\n');
        assert.equal(stderr, 'bad\n');
        const { reason, details } = JSON.parse(status) as { reason: string; details: { causes: object[] } };
        assert.equal(reason, 'NonZeroExitCode');
        assert.deepEqual(details.causes, [{ reason: 'ExitCode', message: '3' }]);
        await exec.close();
      });

      it('exec with a terminal takes its size', async () => {
        // The size travels beside stdin, and may come after it.
        const script = 'read x; until stty size | grep 123; do sleep 0.1; done';
        const query = { command: ['sh', '-c', script], input: '1', output: '1', tty: '1' };
        const exec = await open(url('exec', query), { stdin: true, stdout: true, tty: true });
        await exec.resize(123, 45);
        await exec.write('\n');
        assert.match(await textOf(exec.stdout), /45 123\r\n/);
        await exec.close();
      });

      it('attach talks with the main process, and leaves it running', async () => {
        const attached = await open(url('attach', { input: '1', output: '1' }), {
          stdin: true,
          stdout: true,
        });
        await attached.write(`by ${name}\n`);
        const expected = `said by ${name}\n`;
        assert.match(await textUntil(attached.stdout, /\n/), new RegExp(expected));
        await attached.close();
        await rig.logged(pod, 'one', new RegExp(expected));
      });
    });
  }

  it('port-forward reaches several ports at once over SPDY, and one that is on loopback only', async () => {
    const ports = await SpdyPorts.open(url('portForward', {}));
    await checkPorts(ports);
  });

  it('port-forward does so over SPDY in a WebSocket, as kubectl does', async () => {
    await checkPorts(await webSocketPorts(url('portForward', {})));
  });

  it('port-forward over plain WebSocket channels', async () => {
    const channels = await Channels.open(url('portForward', { port: '8080' }), ['v4.channel.k8s.io'], 2);
    await channels.send(0, Buffer.from('GET / HTTP/1.0\r\n\r\n'));
    // Two bytes of each channel are the port.
    assert.match((await textUntil(channels.inputs[0], /one\n$/)).slice(2), /^HTTP\/1\.[01] 200 OK[^]*one\n$/);
    await channels.close();
  });

  async function checkPorts(ports: SpdyPorts): Promise<void> {
    const answers = [8080, 8081, 8080].map(async (port) => {
      const { data } = ports.connect(port);
      await data.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
      return textOf(data.input);
    });
    for (const answer of await Promise.all(answers)) assert.match(answer, /^HTTP\/1\.[01] 200 OK[^]*one\n$/);
    assert.match(await ports.connect(8082).failure, /8082/);
    await ports.session.close();
  }

  it('an exec that cannot start says why', async () => {
    const query = { command: 'no-such-program', output: '1' };
    const exec = await spdyCommand(url('exec', query), { stdout: true });
    assert.match(await exec.status, /no-such-program/);
    await exec.close();
  });

  // In a suite of its own, for those of a suite run after its tests.
  describe('afterwards', () => {
    it('nothing that kubelet called an error was of our making', () => {
      assert.deepEqual(rig.errors(), []);
    });
  });
});
