/**
 * org.fedoraproject.FirewallD1 on a message bus, on a thread of its own: zones and their sources, with the answers that firewalld
 * 1.3 gives (taken from one that ran). It changes no rule.
 */
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { decodeAll, encode, Field, type Incoming, type Typed } from './wire.ts';

/** How it is made to fail. */
export type Mood = 'well' | 'silent' | 'panic' | 'no-ipv6';

export interface FirewalldState {
  /** Sources by zone. */
  readonly zones: Readonly<Record<string, readonly string[]>>;
  /** Calls since the start: method, zone, source. */
  readonly calls: readonly (readonly string[])[];
}

const NAME = 'org.fedoraproject.FirewallD1';
const zones: Record<string, string[]> = { public: [], trusted: [] };
const calls: string[][] = [];
let mood: Mood = 'well';
let serial = 0;

class Refusal extends Error {}

function zoneOf(source: string): string | undefined {
  return Object.keys(zones).find((zone) => zones[zone]?.includes(source));
}

function checkZone(zone: string): string[] {
  const sources = zones[zone === '' ? 'public' : zone];
  if (sources === undefined) throw new Refusal(`INVALID_ZONE: ${zone}`);
  return sources;
}

function checkPanic(): void {
  if (mood === 'panic') throw new Refusal('PANIC_MODE');
}

const methods: Readonly<Record<string, (zone: string, source: string) => Typed>> = {
  addSource: (zone, source) => {
    checkPanic();
    const sources = checkZone(zone);
    if (!/^[0-9a-f.:]+\/(32|128)$/.test(source)) throw new Refusal(`INVALID_ADDR: ${source}`);
    if (sources.includes(source))
      throw new Refusal(`ZONE_ALREADY_SET: '${source}' already bound to '${zone}'`);
    if (zoneOf(source) !== undefined) throw new Refusal(`ZONE_CONFLICT: '${source}' already bound to a zone`);
    if (mood === 'no-ipv6' && source.includes(':')) {
      throw new Refusal("COMMAND_FAILED: 'python-nftables' failed: internal:0:0-0: Error\n\nJSON blob:\n{}");
    }
    sources.push(source);
    return ['s', zone];
  },
  removeSource: (zone, source) => {
    checkPanic();
    const bound = zoneOf(source);
    if (bound === undefined) throw new Refusal(`UNKNOWN_SOURCE: '${source}' is not in any zone`);
    const sources = checkZone(zone);
    if (bound !== zone) throw new Refusal(`ZONE_CONFLICT: remove_source(${zone}, ${source}): zos='${bound}'`);
    sources.splice(sources.indexOf(source), 1);
    return ['s', zone];
  },
  querySource: (zone, source) => ['b', checkZone(zone).includes(source)],
};

const socket = connect((workerData as { path: string }).path);

function send(type: 1 | 2 | 3, fields: [number, Typed][], ...args: Typed[]): void {
  serial += 1;
  socket.write(encode({ type, serial, fields, args }));
}

function toBus(member: string, ...args: Typed[]): void {
  const bus = 'org.freedesktop.DBus';
  const fields: [number, Typed][] = [
    [Field.path, ['o', '/org/freedesktop/DBus']],
    [Field.interface, ['s', bus]],
    [Field.member, ['s', member]],
    [Field.destination, ['s', bus]],
  ];
  send(1, fields, ...args);
}

function answer(call: Incoming): void {
  const member = String(call.fields.get(Field.member));
  const [zone = '', source = ''] = call.args.map(String);
  calls.push([member, zone, source]);
  if (mood === 'silent') return;
  const to: [number, Typed][] = [
    [Field.replySerial, ['u', call.serial]],
    [Field.destination, ['s', String(call.fields.get(Field.sender))]],
  ];
  try {
    const method = methods[member];
    if (method === undefined) throw new Error(`firewalld has no method ${member}`);
    send(2, to, method(zone, source));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    send(3, [...to, [Field.errorName, ['s', `${NAME}.Exception`]]], ['s', error.message]);
  }
}

/** What the bus answered to our own calls: Hello, then RequestName. */
let answered = 0;

function take(message: Incoming): void {
  if (message.type === 1) answer(message);
  else if (message.type !== 4 && ++answered === 2) parentPort?.postMessage('running');
}

let input = Buffer.alloc(0);
let isLetIn = false;
socket.on('data', (data: Buffer) => {
  input = Buffer.concat([input, data]);
  if (!isLetIn) {
    isLetIn = true;
    input = Buffer.alloc(0);
    socket.write('BEGIN\r\n');
    toBus('Hello');
    toBus('RequestName', ['s', NAME], ['u', 4]);
    return;
  }
  const { messages, rest } = decodeAll(input);
  input = Buffer.from(rest);
  for (const message of messages) take(message);
});
// The bus is gone, and with it what it was there for.
socket.on('error', () => process.exit());
socket.on('close', () => process.exit());
socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.geteuid?.())).toString('hex')}\r\n`);

parentPort?.on('message', (message: { mood?: Mood }) => {
  if (message.mood !== undefined) mood = message.mood;
  parentPort?.postMessage({ zones, calls } satisfies FirewalldState);
});
