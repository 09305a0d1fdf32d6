/** What plugins leave in the kernel, so that two nodes can be compared. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Json, JsonObject } from '../../src/lib/json.ts';
import { isJsonObject } from '../../src/lib/json.ts';
import type { TestNode } from './node.ts';

/**
 * Keys that differ from run to run: indexes, hardware addresses, timers, counters. And txqlen, which the release in Debian 12
 * sets to 0 by an oversight that later ones do not have; with it goes which default qdisc a link has. And
 * ifalias, which that release's host-device leaves behind. An IPv6 address is tentative for a while whenever its bridge gets a port.
 */
const VOLATILE =
  /^(txqlen|ifalias|ifindex|link|link_index|link_netnsid|mac|bridge_id|root_id|qlen|used|packets|bytes|refcnt|last_used|first_used|installed|tentative|.*_timer|.*_life_time)$/;

/** Without what is random or comes with time: link-local addresses and their routes appear once the link has settled. */
export function comparable(value: Json): Json {
  if (Array.isArray(value))
    return value
      .filter((item) => !isNoise(item))
      .map(comparable)
      .sort(byText);
  if (typeof value === 'string') return value.replace(/veth[0-9a-f]{8}/g, 'veth');
  if (!isJsonObject(value)) return value;
  const stable = Object.entries(value).filter(
    ([name, each]) => !VOLATILE.test(name) && !isHardwareAddress(each),
  );
  // Lists are sorted by their text, in which the order of the names would show.
  const ordered = stable.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(ordered.map(([name, each]) => [name, comparable(each)]));
}

function isHardwareAddress(value: Json): boolean {
  return typeof value === 'string' && /^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/.test(value);
}

const DEFAULT_QDISCS = ['noqueue', 'noop', 'pfifo_fast', 'fq_codel', 'mq', 'pfifo'];

function isNoise(item: Json): boolean {
  if (!isJsonObject(item)) return false;
  const { kind } = item;
  if (typeof kind === 'string' && DEFAULT_QDISCS.includes(kind)) return true;
  return [item['dst'], item['local']].some((each) => typeof each === 'string' && /^(fe80|ff00):/.test(each));
}

function byText(a: Json, b: Json): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

const json = {
  addresses: 'ip -j -d address',
  routes: 'ip -j -d -4 route show table all',
  routes6: 'ip -j -d -6 route show table all',
  rules: 'ip -j -d rule',
  rules6: 'ip -j -d -6 rule',
  ports: 'bridge -j -d link',
  vlans: 'bridge -j vlan',
  qdiscs: 'tc -j qdisc',
};
const text = {
  nat: 'iptables-save -t nat',
  filter: 'iptables-save -t filter',
  nat6: 'ip6tables-save -t nat',
  filter6: 'ip6tables-save -t filter',
  nft: 'nft list tables',
  forwarding: 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding',
  filters:
    'for link in $(ls /proc/sys/net/ipv4/conf); do tc filter show dev $link parent ffff: 2>/dev/null; done',
};
const MARK = '--- berth';

const run = promisify(execFile);

/** Links, addresses, routes, rules, queues and firewall of a node, with all that is random or late taken out. */
export async function networkState(node: TestNode): Promise<JsonObject> {
  const commands = { ...json, ...text };
  const script = Object.values(commands)
    .map((command) => `${command}; echo '${MARK}'`)
    .join('\n');
  const [file, args] = node.command('sh', '-c', script);
  const { stdout } = await run(file, args);
  const outputs = stdout.split(`${MARK}\n`);
  return Object.fromEntries(
    Object.keys(commands).map((name, index) => {
      const output = outputs[index] ?? '';
      return [name, name in json ? parsed(output) : lines(output)];
    }),
  );
}

function parsed(output: string): Json {
  return comparable(output.trim() === '' ? [] : (JSON.parse(output) as Json));
}

/** Counters, comments of iptables-save, and numbers that the kernel gave are left out. */
function lines(output: string): string[] {
  return (
    output
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !/^\tindex \d+ ref/.test(line))
      // The reference plugin adds its redirection twice; the first takes every packet.
      .filter((line) => !/action order 2: mirred .* pass$/.test(line))
      // Later releases name both policies in the rules that both share.
      .map((line) => line.replace('ingressPolicy: same-bridge|isolated', 'ingressPolicy: same-bridge'))
      .map((line) => line.replace(/veth[0-9a-f]{8}/g, 'veth'))
  );
}

/** The files below a directory, with their contents. Modes differ from release to release of the reference plugins. */
export function fileState(directory: string): JsonObject {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).isDirectory() ? '' : readFileSync(path, 'utf8')];
    }),
  );
}

/** One line for each value in a state, with the way to it; what stands in a list is one value. */
export function linesOf(state: Json, path = ''): string[] {
  if (Array.isArray(state)) return state.map((item) => `${path}: ${JSON.stringify(sorted(item))}`);
  if (!isJsonObject(state)) return [`${path}: ${JSON.stringify(state)}`];
  return Object.entries(state).flatMap(([name, value]) => linesOf(value, `${path}/${name}`));
}

/** With the keys of all objects in order. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).map(([name, each]): [string, Json] => [name, sorted(each)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the one has and the other has not, lines that come twice counted. */
export function difference(one: readonly string[], other: readonly string[]): string[] {
  const left = [...other];
  return one.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
