/** A network as a person wants to see it: what hangs on what. Its form is ShowNetworksResponse of berth/v1/admin.proto. */
import type { JsonObject } from '../../lib/json.ts';
import { shortId } from '../table.ts';
import { atMost, type Branch, tree } from '../tree.ts';
import { numberOf, objectOf, objectsOf, stringOf, stringsOf } from './fields.ts';

const WIDTH = 100;
/** How much of each list is drawn. */
const PODS_MOST = 20;
const PORTS_MOST = 10;
const FOREIGN_MOST = 5;
const PROBLEMS_MOST = 10;

/** @param all draws every list to its end. */
export function drawNetwork(network: JsonObject, all: boolean): string {
  const limit = (most: number): number => (all ? Number.MAX_SAFE_INTEGER : most);
  const devices = objectsOf(network['devices']);
  const pods = atMost(rows(objectsOf(network['pods']).map(podRow)), limit(PODS_MOST));
  const ports = atMost(rows(objectsOf(network['hostPorts']).map(portRow)), limit(PORTS_MOST));
  const pools = objectsOf(network['pools']).map((pool) => poolBranch(pool, limit(FOREIGN_MOST)));
  const problems = stringsOf(network['problems']).map((text) => ({ text }));
  const below = [
    // Pods hang on the first device; a network of point-to-point links has none.
    ...devices.map((device, i) => ({ text: deviceText(device), below: i === 0 ? pods : [] })),
    ...(devices.length === 0 ? group('pods', pods) : []),
    ...group('host ports', ports),
    ...group('addresses', pools),
    ...group('problems', atMost(problems, limit(PROBLEMS_MOST))),
  ];
  return tree({ text: headText(network), below }, WIDTH);
}

function group(text: string, below: readonly Branch[]): Branch[] {
  return below.length === 0 ? [] : [{ text, below }];
}

function headText(network: JsonObject): string {
  const file = stringOf(network['file']);
  const source = file === '' ? 'configured no more' : file;
  const stale = stringOf(network['staleSince']) === '' ? '' : ', last good version';
  return `${stringOf(network['name'])}: ${stringsOf(network['plugins']).join(', ')} (${source}${stale})`;
}

function deviceText(device: JsonObject): string {
  const name = stringOf(device['name']);
  if (device['present'] === false) return `${name}: not there`;
  const state = device['up'] === true ? linkState(device) : 'down';
  const facts = [
    stringOf(device['kind']) || stringOf(device['role']),
    state,
    `mtu ${numberOf(device['mtu']) ?? 0}`,
    stringsOf(device['addresses']).join(' ') || 'no address',
  ];
  return `${name}: ${facts.join(', ')}`;
}

/** A bridge without a running port has no carrier, which is not worth a word. */
function linkState(link: JsonObject): string {
  const state = stringOf(link['state']);
  return state === 'up' || state === 'unknown' || link['role'] === 'bridge' ? 'up' : `up, ${state}`;
}

function podRow(pod: JsonObject): string[] {
  const end = objectOf(pod['hostInterface']);
  const name = stringOf(end['name']);
  const broken = name !== '' && (end['present'] === false || end['up'] === false);
  const link = name === '' ? '' : `${name}${broken ? ' ✗' : ''} ─ `;
  const ips = stringsOf(pod['ips']).join(' ') || 'no address yet';
  return [`${link}${stringOf(pod['ifName'])}`, stringOf(pod['pod']), ips];
}

function portRow(port: JsonObject): string[] {
  const targets = stringsOf(port['targets']).join(' ');
  const holder = stringOf(port['holder']);
  const container = shortId(stringOf(port['containerId']));
  const owner = stringOf(port['pod']) || `container ${container}`;
  const kind = holder === 'pod' ? '' : holder === 'debt' ? ' (DEL is owed)' : ' (foreign)';
  return [stringOf(port['port']), targets === '' ? '✗ no rule' : `→ ${targets}`, `${owner}${kind}`];
}

function poolBranch(pool: JsonObject, most: number): Branch {
  const count = (name: string): string => quantity(numberOf(pool[name]) ?? 0);
  const parts = [
    `${count('pods')} by pods`,
    ...(numberOf(pool['debts']) === 0 ? [] : [`${count('debts')} held back by debts`]),
    ...(numberOf(pool['foreign']) === 0 ? [] : [`${count('foreign')} foreign`]),
  ];
  const foreign = objectsOf(pool['foreignReservations']).map(foreignBranch);
  const shown = foreign.slice(0, most);
  const more = (numberOf(pool['foreign']) ?? 0) - shown.length;
  return {
    text: `${stringOf(pool['subnet'])}: ${count('used')} used of ${count('of')}, ${count('free')} free (${parts.join(', ')})`,
    below: more > 0 ? [...shown, { text: `… ${more} more` }] : shown,
  };
}

/** An IPv6 range has more addresses than anyone counts. */
function quantity(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : `about ${value.toExponential(1).replace('e+', 'e')}`;
}

function foreignBranch(reservation: JsonObject): Branch {
  const container = shortId(stringOf(reservation['containerId']));
  const owner = container === '' ? 'its file tells no owner' : `container ${container}`;
  return { text: `foreign: ${stringOf(reservation['address'])}, ${owner}` };
}

/** Columns, as the branches of one list. */
function rows(cells: readonly (readonly string[])[]): Branch[] {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => Array.from(row[column] ?? '').length)),
  );
  return cells.map((row) => {
    const padded = row.map(
      (cell, i) => cell + ' '.repeat(Math.max(0, (widths[i] ?? 0) - Array.from(cell).length)),
    );
    return { text: padded.join('  ').trimEnd() };
  });
}
