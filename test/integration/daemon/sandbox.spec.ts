import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { ContainerEventResponse__Output } from '../../../src/gen/runtime/v1/ContainerEventResponse.ts';
import type { PodSandbox__Output } from '../../../src/gen/runtime/v1/PodSandbox.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig } from '../../helpers/fixture.ts';
import { runIn } from '../../helpers/node.ts';

interface Info {
  pid: number;
  netNsClosed: boolean;
  config: { metadata: unknown; linux: { cgroup_parent: string } };
  runtimeSpec: { linux: { namespaces: { type: string; path: string }[] } };
  cniResult: { Interfaces: Record<string, { IPConfigs: { IP: string }[] }> };
  network: {
    ip: { ip: string; rule: string };
    timeline: { plugin: string; verb: string; provider: string; delegatedBy?: string; durationMs: number }[];
  };
}

describe('a sandbox', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start();
  });
  afterEach(() => rig.daemon.client.clear());
  after(() => rig[Symbol.asyncDispose]());

  async function info(id: string): Promise<Info> {
    return JSON.parse((await rig.daemon.client.podStatus(id, true)).info['info'] ?? '') as Info;
  }

  function namespace(of: Info, type: string): string {
    return of.runtimeSpec.linux.namespaces.find((n) => n.type === type)?.path ?? '';
  }

  it('has one primary IP that the node and other pods reach', async () => {
    const { client } = rig.daemon;
    const [a, b] = [await client.run(podConfig('a')), await client.run(podConfig('b'))];
    const ip = (await client.podStatus(a)).status?.network?.ip ?? '';
    assert.match(ip, /^10\.97\.0\.\d+$/);
    await rig.node.run('ping', '-c1', '-W2', ip);
    await runIn(namespace(await info(b), 'network'), 'ping', '-c1', '-W2', ip);
    const addresses = JSON.parse(
      await runIn(namespace(await info(a), 'network'), 'ip', '-j', 'addr', 'show', 'eth0'),
    ) as {
      addr_info: { local: string }[];
    }[];
    assert.ok(addresses[0]?.addr_info.some((address) => address.local === ip));
  });

  it('tells how it got its IP', async () => {
    const { client } = rig.daemon;
    const id = await client.run(podConfig('told'));
    const told = await info(id);
    const ip = (await client.podStatus(id)).status?.network?.ip ?? '';
    assert.equal(told.network.ip.ip, ip);
    assert.deepEqual(told.cniResult.Interfaces['eth0']?.IPConfigs[0]?.IP, ip);
    assert.deepEqual(
      told.network.timeline.map((s) => [s.plugin, s.verb, s.provider, s.delegatedBy ?? '']),
      [
        ['host-local', 'ADD', 'built-in', 'bridge'],
        ['bridge', 'ADD', 'built-in', ''],
        ['portmap', 'ADD', 'built-in', ''],
      ],
    );
    assert.equal(told.pid, 0);
    assert.equal(told.netNsClosed, false);
    assert.equal(told.config.linux.cgroup_parent, '/berth-test/told');
  });

  it('has sysctls of an interface, which only the network makes', async () => {
    const { client } = rig.daemon;
    const sysctls = { 'net.ipv4.conf.eth0.arp_notify': '0', 'net/ipv4/neigh/eth0/mcast_solicit': '5' };
    const id = await client.run(podConfig('interface', { linux: { sysctls } }));
    const netns = namespace(await info(id), 'network');
    // The bridge plugin sets it to 1.
    assert.equal(await runIn(netns, 'cat', '/proc/sys/net/ipv4/conf/eth0/arp_notify'), '0');
    assert.equal(await runIn(netns, 'cat', '/proc/sys/net/ipv4/neigh/eth0/mcast_solicit'), '5');
    await assert.rejects(
      client.run(podConfig('no-interface', { linux: { sysctls: { 'net.ipv4.conf.eth7.arp_notify': '0' } } })),
      { code: status.INVALID_ARGUMENT, details: /failed to set sysctl "net\.ipv4\.conf\.eth7\.arp_notify"/ },
    );
    // A value that the kernel does not take.
    await assert.rejects(
      client.run(podConfig('bad-value', { linux: { sysctls: { 'net.ipv4.tcp_syncookies': 'perhaps' } } })),
      {
        code: status.INVALID_ARGUMENT,
        details: /failed to set sysctl "net\.ipv4\.tcp_syncookies" to "perhaps": EINVAL/,
      },
    );
    assert.deepEqual(
      (await client.list()).map((pod) => pod.metadata?.name),
      ['interface'],
    );
  });

  it('has its hostname, sysctls, resolv.conf, hosts and 64 MiB of shm', async () => {
    const { client, directory } = rig.daemon;
    const id = await client.run(
      podConfig('settings', {
        hostname: 'my-host',
        dnsConfig: { servers: ['10.0.0.10'], searches: ['a.local', 'b.local'], options: ['ndots:5'] },
        linux: { sysctls: { 'kernel.shm_rmid_forced': '1', 'net.core.somaxconn': '777' } },
      }),
    );
    const at = await info(id);
    const inside = (kind: string, flag: string, ...argv: string[]): Promise<string> =>
      rig.node.run('nsenter', `--${flag}=${namespace(at, kind)}`, ...argv);
    assert.equal(await inside('uts', 'uts', 'hostname'), 'my-host');
    assert.equal(await inside('ipc', 'ipc', 'cat', '/proc/sys/kernel/shm_rmid_forced'), '1');
    assert.equal(await inside('network', 'net', 'cat', '/proc/sys/net/core/somaxconn'), '777');
    assert.equal(await inside('network', 'net', 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start'), '0');
    const root = join(directory, 'state/sandboxes', id);
    assert.equal(
      readFileSync(join(root, 'resolv.conf'), 'utf8'),
      'search a.local b.local\nnameserver 10.0.0.10\noptions ndots:5\n',
    );
    assert.equal(readFileSync(join(root, 'hostname'), 'utf8'), 'my-host\n');
    assert.equal(readFileSync(join(root, 'hosts'), 'utf8'), readFileSync('/etc/hosts', 'utf8'));
    const mount = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.includes(`${id}/shm`));
    assert.match(mount ?? '', /nosuid,nodev,noexec.*tmpfs.*size=65536k/);
  });

  it("on the node's network has no namespace, no IP and no CNI", async () => {
    const { client } = rig.daemon;
    const namespaceOptions = { network: 'NODE', ipc: 'NODE', pid: 'NODE' } as const;
    const id = await client.run(podConfig('host', { linux: { securityContext: { namespaceOptions } } }));
    const { status } = await client.podStatus(id);
    assert.equal(status?.state, 'SANDBOX_READY');
    assert.equal(status.network?.ip, '');
    assert.equal(status.linux?.namespaces?.options?.network, 'NODE');
    const at = await info(id);
    assert.deepEqual(at.runtimeSpec.linux.namespaces, []);
    assert.deepEqual(at.network.timeline, []);
    await client.stop(id);
    assert.equal((await client.podStatus(id)).status?.state, 'SANDBOX_NOTREADY');
  });

  it('that is stopped has no IP, no namespace and no address, and stays in the list until it is removed', async () => {
    const { client, directory } = rig.daemon;
    const id = await client.run(podConfig('stopped'));
    const netns = namespace(await info(id), 'network');
    await client.stop(id);
    await client.stop(id);
    const { status } = await client.podStatus(id);
    assert.equal(status?.state, 'SANDBOX_NOTREADY');
    assert.equal(status.network?.ip, '');
    assert.equal(existsSync(netns), false);
    assert.equal((await client.list()).length, 1);
    await client.remove(id);
    await client.remove(id);
    assert.deepEqual(await client.list(), []);
    await assert.rejects(client.podStatus(id), { code: 5 });
    assert.deepEqual(
      readdirSync(join(directory, 'ipam/berth-test')).filter(
        (name) => !/^(lock|last_reserved_ip\.\d+)$/.test(name),
      ),
      [],
    );
  });

  it('leaves nothing behind but the bridge when it is removed while it runs', async () => {
    const { client, directory } = rig.daemon;
    await client.remove(
      await client.run(podConfig('gone', { portMappings: [{ hostPort: 8081, containerPort: 80 }] })),
    );
    for (const where of ['root/sandboxes', 'state/sandboxes', 'netns', 'cni/results', 'root/debts']) {
      assert.deepEqual(readdirSync(join(directory, where)), [], where);
    }
    const links = await eventually('the veth is gone', async () => {
      const found = JSON.parse(await rig.node.run('ip', '-j', 'link')) as { ifname: string }[];
      const names = found
        .map((link) => link.ifname)
        .filter((name) => !['lo', 'brt0', 'ifb0', 'ifb1'].includes(name));
      return names.length === 0 ? names : undefined;
    });
    assert.deepEqual(links, []);
    const rules = await rig.node.run('nft', 'list', 'ruleset');
    assert.equal(rules.includes('8081'), false, rules);
    assert.equal((await rig.node.run('iptables-save')).includes('8081'), false);
  });

  it('is found by id prefix, state and labels', async () => {
    const { client } = rig.daemon;
    const a = await client.run(podConfig('a', { labels: { app: 'one', tier: 'x' } }));
    const b = await client.run(podConfig('b', { labels: { app: 'two', tier: 'x' } }));
    await client.stop(b);
    const ids = async (filter: Parameters<typeof client.list>[0]): Promise<string[]> =>
      (await client.list(filter)).map((sandbox) => sandbox.id);
    assert.deepEqual(await ids({ id: a.slice(0, 10) }), [a]);
    assert.deepEqual(await ids({ state: { state: 'SANDBOX_NOTREADY' } }), [b]);
    assert.deepEqual(await ids({ labelSelector: { tier: 'x' } }), [a, b]);
    assert.deepEqual(await ids({ labelSelector: { tier: 'x', app: 'one' } }), [a]);
    assert.deepEqual(await ids({ labelSelector: { app: 'three' } }), []);
    assert.equal((await client.podStatus(a.slice(0, 8))).status?.id, a);
    const streamed: PodSandbox__Output[] = [];
    for await (const { podSandboxes } of client.runtime.streamPodSandboxes({}) as AsyncIterable<{
      podSandboxes: PodSandbox__Output[];
    }>) {
      streamed.push(...podSandboxes);
    }
    assert.deepEqual(streamed, await client.list());
  });

  it('is told of by events with its status', async () => {
    const { client } = rig.daemon;
    const seen: ContainerEventResponse__Output[] = [];
    const id = await client.run(podConfig('events'));
    // What happened before anybody listened is told, too; of other tests' sandboxes as well.
    const stream = client.runtime.getContainerEvents({});
    stream.on('data', (event: ContainerEventResponse__Output) => {
      if (event.podSandboxStatus?.metadata?.name === 'events') seen.push(event);
    });
    stream.on('error', () => undefined);
    await client.stop(id);
    await client.remove(id);
    await eventually('four events', () => (seen.length === 4 ? true : undefined));
    stream.cancel();
    assert.deepEqual(
      seen.map((event) => [
        event.containerEventType,
        event.containerId === id,
        event.podSandboxStatus?.state,
      ]),
      [
        ['CONTAINER_CREATED_EVENT', true, 'SANDBOX_READY'],
        ['CONTAINER_STARTED_EVENT', true, 'SANDBOX_READY'],
        ['CONTAINER_STOPPED_EVENT', true, 'SANDBOX_NOTREADY'],
        ['CONTAINER_DELETED_EVENT', true, 'SANDBOX_NOTREADY'],
      ],
    );
    assert.match(seen[0]?.podSandboxStatus?.network?.ip ?? '', /^10\.97\./);
  });

  it('of a retried call is one and the same; another configuration of that name replaces it', async () => {
    const { client } = rig.daemon;
    const both = await Promise.all([client.run(podConfig('retry')), client.run(podConfig('retry'))]);
    assert.equal(both[0], both[1]);
    assert.equal(await client.run(podConfig('retry')), both[0]);
    const changed = await client.run(podConfig('retry', { hostname: 'changed' }));
    assert.notEqual(changed, both[0]);
    assert.deepEqual(
      (await client.list()).map((sandbox) => sandbox.id),
      [changed],
    );
    await client.stop(changed);
    const fresh = await client.run(podConfig('retry', { hostname: 'changed' }));
    assert.deepEqual(
      (await client.list()).map((sandbox) => sandbox.id),
      [fresh],
    );
  });

  it('keeps the resources that kubelet has given it, over a restart too', async () => {
    const { daemon } = rig;
    const id = await daemon.client.run(podConfig('resized'));
    const resources = { cpuShares: '512', memoryLimitInBytes: '1048576' };
    const update = (podSandboxId: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const request = { podSandboxId, overhead: { cpuShares: '8' }, resources };
        daemon.client.runtime.updatePodSandboxResources(request, (error, answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      });
    await update(id.slice(0, 13));
    await assert.rejects(update('0'.repeat(64)), { code: status.NOT_FOUND });
    const told = async (): Promise<unknown> => {
      const { overhead, resources: given } = JSON.parse(
        (await daemon.client.podStatus(id, true)).info['info'] ?? '',
      ) as Record<'overhead' | 'resources', { linux: Record<string, string> }>;
      return [overhead.linux['cpu_shares'], given.linux['cpu_shares'], given.linux['memory_limit_in_bytes']];
    };
    assert.deepEqual(await told(), ['8', '512', '1048576']);
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await told(), ['8', '512', '1048576']);
  });

  it('reaches its host port from the node', async () => {
    const { client } = rig.daemon;
    const id = await client.run(
      podConfig('port', { portMappings: [{ hostPort: 18080, containerPort: 80 }] }),
    );
    const netns = namespace(await info(id), 'network');
    const script = "require('net').createServer((s) => s.end('hello')).listen(80, () => console.log('up'))";
    const server = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', script]);
    try {
      await new Promise((resolve) => server.stdout.once('data', resolve));
      const dial =
        "require('net').connect(18080, '127.0.0.1').on('data', (d) => console.log(String(d))).on('error', (e) => console.log(e.code))";
      assert.equal(await rig.node.run(process.execPath, '-e', dial), 'hello');
    } finally {
      server.kill('SIGKILL');
      await new Promise((resolve) => server.once('exit', resolve));
    }
  });
});
