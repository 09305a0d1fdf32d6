import { readFileSync } from 'node:fs';
import { messageOf } from '../../../../lib/errors.ts';
import { formatAddress, networkOf, parseCidr } from '../../address.ts';
import { failure } from '../../config.ts';

/** What flanneld tells about this node's share of the network. */
export interface SubnetEnv {
  /** All networks of the cluster, IPv4 first. */
  readonly networks: readonly string[];
  /** This node's subnets as network addresses, IPv4 first; one of each family at most. */
  readonly subnets: readonly string[];
  readonly mtu: number;
  /** True when flanneld masquerades, so that the delegate need not. */
  readonly ipMasq: boolean;
}

/** The network of `address/prefix`, in canonical text. */
function network(text: string, variable: string): string {
  const cidr = parseCidr(text.trim());
  if (cidr === undefined) throw new Error(`${variable}: invalid CIDR address: ${text}`);
  return `${formatAddress(networkOf(cidr))}/${cidr.prefix}`;
}

function mtuOf(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new Error(`FLANNEL_MTU: not a number: ${text}`);
  return Number(text);
}

/** Parses a subnet.env; `path` is for messages. Throws a plain Error. */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    if (equals < 0) throw new Error(`${path} line ${index + 1}: no "=" in ${JSON.stringify(line)}`);
    values.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  const many = (name: string): string[] =>
    (values.get(name) ?? '')
      .split(',')
      .filter((part) => part !== '')
      .map((part) => network(part, name));
  const networks = [...many('FLANNEL_NETWORK'), ...many('FLANNEL_IPV6_NETWORK')];
  const subnets = [...many('FLANNEL_SUBNET').slice(0, 1), ...many('FLANNEL_IPV6_SUBNET').slice(0, 1)];
  const mtu = values.get('FLANNEL_MTU');
  const ipMasq = values.get('FLANNEL_IPMASQ');
  const missing = [
    ...(networks.length === 0 ? ['FLANNEL_NETWORK', 'FLANNEL_IPV6_NETWORK'] : []),
    ...(subnets.length === 0 ? ['FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET'] : []),
    ...(mtu === undefined ? ['FLANNEL_MTU'] : []),
    ...(ipMasq === undefined ? ['FLANNEL_IPMASQ'] : []),
  ];
  if (mtu === undefined || ipMasq === undefined || missing.length > 0) {
    throw new Error(`${path} is missing ${missing.join(', ')}`);
  }
  return { networks, subnets, mtu: mtuOf(mtu), ipMasq: ipMasq === 'true' };
}

/** Throws a CniError with the text that operators of flannel know. */
export function loadSubnetEnv(path: string): SubnetEnv {
  try {
    return parseSubnetEnv(readFileSync(path, 'utf8'), path);
  } catch (error) {
    const cause = messageOf(error);
    throw failure(
      `failed to load flannel 'subnet.env' file: ${cause}. Check the flannel pod log for this node.`,
    );
  }
}
