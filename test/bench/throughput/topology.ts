/** Two pods that a stream runs between, connected by one contestant's plugins. */
import type { JsonObject } from '../../../src/lib/json.ts';
import type { Cleanup } from '../../helpers/cleanup.ts';
import { TestNode } from '../../helpers/node.ts';
import { callWell, type Form } from '../../helpers/plugin-process.ts';

export interface Pod {
  readonly node: TestNode;
  readonly address: string;
}

export interface Pair {
  readonly client: Pod;
  readonly server: Pod;
}

export interface Surroundings {
  readonly cleanup: Cleanup;
  /** Where host-local keeps this contestant's addresses. */
  readonly dataDir: string;
  readonly form: Form;
}

/** Two pods of one node: by their ports through the bridge. */
export async function onOneBridge({ cleanup, dataDir, form }: Surroundings): Promise<Pair> {
  const host = cleanup.use(await TestNode.create());
  const network = bridgeNetwork('one', '10.77.1.0/24', dataDir);
  const [client, server] = [
    await attach(cleanup, host, form, network, 'client'),
    await attach(cleanup, host, form, network, 'server'),
  ];
  return { client, server };
}

/** What VXLAN takes of a packet, with Ethernet below. */
const OVERHEAD = 50;
const UNDERLAY_MTU = 1500;

interface VxlanNode {
  readonly host: TestNode;
  readonly subnet: string;
  /** The address of its end of the tunnel, as flannel gives it: that of the subnet itself. */
  readonly tunnel: string;
  readonly underlay: string;
}

/** Pods of two nodes, routed through a tunnel as flanneld sets it up: each node has a subnet, and knows the other's end. */
export async function overVxlan({ cleanup, dataDir, form }: Surroundings): Promise<Pair> {
  const node = async (nth: number): Promise<VxlanNode> => ({
    host: cleanup.use(await TestNode.create()),
    subnet: `10.77.${nth}.0/24`,
    tunnel: `10.77.${nth}.0`,
    underlay: `192.0.2.${nth}`,
  });
  const [one, other] = [await node(1), await node(2)];
  await one.host.run(
    'ip',
    'link',
    'add',
    'under0',
    'type',
    'veth',
    'peer',
    'name',
    'under0',
    'netns',
    other.host.name,
  );
  for (const { host, tunnel, underlay } of [one, other]) {
    await host.run('ip', 'address', 'add', `${underlay}/24`, 'dev', 'under0');
    await host.run('ip', 'link', 'set', 'under0', 'up', 'mtu', String(UNDERLAY_MTU));
    const vxlan = ['id', '1', 'dev', 'under0', 'local', underlay, 'dstport', '8472', 'nolearning'];
    await host.run(
      'ip',
      'link',
      'add',
      'flannel.1',
      'mtu',
      String(UNDERLAY_MTU - OVERHEAD),
      'type',
      'vxlan',
      ...vxlan,
    );
    await host.run('ip', 'address', 'add', `${tunnel}/32`, 'dev', 'flannel.1');
    await host.run('ip', 'link', 'set', 'flannel.1', 'up');
  }
  await leadTo(one, other);
  await leadTo(other, one);
  const pods = [one, other].map(({ host, subnet }, i) => {
    const name = i === 0 ? 'client' : 'server';
    const network = bridgeNetwork(name, subnet, dataDir, UNDERLAY_MTU - OVERHEAD);
    return attach(cleanup, host, form, network, name);
  });
  const [client, server] = await Promise.all(pods);
  if (client === undefined || server === undefined) throw new Error('there are two pods');
  return { client, server };
}

async function leadTo(
  { host }: VxlanNode,
  { host: peer, subnet, tunnel, underlay }: VxlanNode,
): Promise<void> {
  const link = JSON.parse(await peer.run('ip', '-j', 'link', 'show', 'flannel.1')) as { address: string }[];
  const mac = link[0]?.address ?? '';
  await host.run('ip', 'route', 'add', subnet, 'via', tunnel, 'dev', 'flannel.1', 'onlink');
  await host.run('ip', 'neighbour', 'add', tunnel, 'lladdr', mac, 'dev', 'flannel.1');
  await host.run('bridge', 'fdb', 'append', mac, 'dev', 'flannel.1', 'dst', underlay);
}

function bridgeNetwork(name: string, subnet: string, dataDir: string, mtu?: number): JsonObject {
  return {
    cniVersion: '1.0.0',
    name,
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    ...(mtu === undefined ? {} : { mtu }),
    ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }], dataDir },
  };
}

async function attach(
  cleanup: Cleanup,
  host: TestNode,
  form: Form,
  config: JsonObject,
  containerId: string,
): Promise<Pod> {
  const node = cleanup.use(await TestNode.create());
  const call = { verb: 'ADD', type: 'bridge', config, containerId, netns: node.path } as const;
  const result = await callWell(host, form, call);
  const [first] = (result?.['ips'] ?? []) as JsonObject[];
  return { node, address: (first?.['address'] as string).split('/')[0] ?? '' };
}
