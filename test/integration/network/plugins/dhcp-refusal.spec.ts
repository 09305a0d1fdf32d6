import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MessageType, Option } from '../../../../src/network/plugins/ipam/dhcp/message.ts';
import { answer, type Answering, giving, type Said, seconds, silent } from '../../../fakes/dhcp-lan.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { podConfig } from '../../../helpers/cri-client.ts';
import { TestDaemon } from '../../../helpers/daemon.ts';
import { ScriptedDhcpServer } from '../../../helpers/dhcp.ts';
import { eventually } from '../../../helpers/fixture.ts';
import { runIn, TestNode } from '../../../helpers/node.ts';

const { ack, discover, nak, offer, release, request } = MessageType;
const IP = '10.0.0.9';
const OTHER = '10.0.0.77';
const refusal = answer(nak, '0.0.0.0', [[Option.message, Buffer.from('wrong network')]]);

/** Ten minutes, to be renewed after so many seconds. */
const terms = (renewal: number) => [
  [Option.subnetMask, Uint8Array.of(255, 255, 255, 0)] as const,
  [Option.routers, Uint8Array.of(10, 0, 0, 1)] as const,
  seconds(Option.leaseTime, 600),
  seconds(Option.renewalTime, renewal),
];
const isRenewal = ({ type, ciaddr }: Said): boolean => type === request && ciaddr !== '0.0.0.0';
/** Gives the address, refuses to give it more time, and does something else from then on. */
const givingOnce = (then: Answering): Answering => {
  let refused = false;
  return (said) => {
    if (isRenewal(said)) {
      refused = true;
      return [refusal];
    }
    if (refused) return then(said);
    if (said.type === discover) return [answer(offer, IP, terms(2))];
    return said.type === request ? [answer(ack, IP, terms(2))] : [];
  };
};

/** RFC 2131, 3.1, 3.2 and figure 5: who is refused halts the network and begins anew. */
describe('dhcp: a server that refuses', function () {
  this.timeout(120_000);
  let cleanup: Cleanup;
  let node: TestNode;
  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
    await node.run('ip', 'link', 'add', 'br98', 'type', 'bridge');
    await node.run('ip', 'link', 'set', 'br98', 'up');
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  const serve = async (answering: Answering): Promise<ScriptedDhcpServer> =>
    cleanup.use(await ScriptedDhcpServer.start(node, 'br98', answering));
  const start = async (): Promise<TestDaemon> => {
    const plugins = [{ type: 'bridge', bridge: 'br98', ipam: { type: 'dhcp' } }];
    const networks = { '10-dhcp.conflist': { cniVersion: '1.1.0', name: 'lan', plugins } };
    return cleanup.use(await TestDaemon.start({ node, networks }));
  };
  const recorded = ({ directory }: TestDaemon): string[] =>
    readdirSync(join(directory, 'root', 'leases')).filter((name) => name.endsWith('.json'));
  const inPod = ({ directory }: TestDaemon, ...argv: string[]): Promise<string> => {
    const [name = ''] = readdirSync(join(directory, 'netns'));
    return runIn(join(directory, 'netns', name), ...argv);
  };
  const logged = (daemon: TestDaemon, text: string): Promise<unknown> =>
    eventually(text, async () => (await daemon.log()).includes(text) || undefined);

  it('a pod whose REQUEST is refused asks from the beginning, and is given an address then', async () => {
    let refusals = 1;
    const server = await serve((said) =>
      said.type === request && (refusals -= 1) >= 0 ? [refusal] : giving(IP, 600)(said),
    );
    const daemon = await start();
    const id = await daemon.client.run(podConfig('second'));
    assert.equal((await daemon.client.podStatus(id)).status?.network?.ip, IP);
    assert.equal(server.story, [discover, request, discover, request].join(' '));
    const [first, second, ...more] = [...new Set(server.said.map(({ xid }) => xid))];
    assert.deepEqual(
      server.said.map(({ xid }) => xid),
      [first, first, second, second],
    );
    assert.deepEqual(more, []);
    assert.match(await daemon.log(), /DHCP server 10\.0\.0\.1 refused \(wrong network\) 10\.0\.0\.9/);
    assert.equal(recorded(daemon).length, 1);
  });

  it('a pod that is refused again and again fails in time with the server’s words, and gives nothing back', async () => {
    // It offers no third time: a request that the end of the time leaves without an answer would be given back.
    let offers = 0;
    const server = await serve((said) => {
      if (said.type === request) return [refusal];
      return said.type === discover && (offers += 1) <= 2 ? giving(IP, 600)(said) : [];
    });
    const daemon = await start();
    await assert.rejects(
      // A tenth of it is what a busy machine may take to answer.
      daemon.client.run(podConfig('refused'), '', 15_000),
      /no more tries: DHCP server 10\.0\.0\.1 refused \(wrong network\) 10\.0\.0\.9 within [\d.]+ s/,
    );
    assert.deepEqual(recorded(daemon), []);
    assert.doesNotMatch(await node.run('ip', '-br', 'link'), /veth/);
    assert.match(server.story, new RegExp(`^${discover} ${request} ${discover} ${request}( ${discover})+$`));
  });

  it('a refused renewal takes the address off at once; the same one is asked for from the beginning, and no other taken', async () => {
    // What begins anew is offered another address.
    const server = await serve(givingOnce(giving(OTHER, 600)));
    const daemon = await start();
    const id = await daemon.client.run(podConfig('halted'));
    await logged(daemon, 'offers another address, which a pod cannot take');
    const [renewal, anew] = server.said.slice(2);
    assert.ok(renewal !== undefined && anew !== undefined);
    assert.deepEqual([renewal.type, renewal.ciaddr, renewal.isUnicast], [request, IP, true]);
    assert.deepEqual([anew.type, anew.options.get(Option.requestedAddress)?.join('.')], [discover, IP]);
    // The lease had ten minutes left.
    assert.ok(anew.at - renewal.at < 10_000, 'at once');
    assert.doesNotMatch(await inPod(daemon, 'ip', '-4', 'address', 'show', 'eth0'), /inet/);
    assert.equal(await inPod(daemon, 'ip', '-4', 'route'), '');
    server.answering = (said) =>
      said.type === discover ? [answer(offer, IP, terms(300))] : [answer(ack, IP, terms(300))];
    await logged(daemon, 'DHCP lease regained');
    assert.match(await inPod(daemon, 'ip', '-4', 'address', 'show', 'eth0'), /inet 10\.0\.0\.9\/24/);
    assert.match(await inPod(daemon, 'ip', '-4', 'route'), /default via 10\.0\.0\.1 dev eth0/);
    assert.equal((await daemon.client.podStatus(id)).status?.network?.ip, IP);
    await daemon.client.stop(id);
    await eventually('RELEASE', () => server.said.some(({ type }) => type === release) || undefined);
  });

  it('a daemon that comes after one that was killed knows of the refusal, and a DEL gives nothing back', async () => {
    const server = await serve(givingOnce(silent));
    const daemon = await start();
    const id = await daemon.client.run(podConfig('known'));
    await logged(daemon, 'the address was taken off the interface');
    await daemon.kill();
    server.said.length = 0;
    await daemon.start();
    await eventually('DISCOVER', () => server.said.length > 0 || undefined);
    assert.equal(
      server.said.find(({ type }) => type !== discover),
      undefined,
      server.story,
    );
    await daemon.client.stop(id);
    assert.doesNotMatch(server.story, new RegExp(`${release}`));
    assert.deepEqual(recorded(daemon), []);
  });
});
