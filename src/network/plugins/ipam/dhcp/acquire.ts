import type { Logger } from '../../../../lib/log.ts';
import { failure } from '../../config.ts';
import { type Clock, discover, release, select, type Talk } from './exchange.ts';
import type { Links } from './links.ts';
import type { Options } from './message.ts';
import { type LeaseRecord, type LeaseRecords, recordedOptions } from './records.ts';
import { backoff, resultOf, timesOf } from './terms.ts';

/** Who wants an address, and where. */
export interface Applicant
  extends Pick<LeaseRecord, 'client' | 'network' | 'containerId' | 'ifName' | 'netns'> {
  readonly options: Options;
}

export interface AcquireDeps {
  readonly links: Links;
  readonly records: Pick<LeaseRecords, 'put' | 'drop'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Limits {
  readonly until: number;
  readonly signal: AbortSignal;
}

const ETHERNET = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;

/** How often an offer is asked for before another one is looked for (RFC 2131, 3.1, 5). */
const REQUESTS = 4;
/** After a NAK, lest client and server go round without pause. */
const REFUSED_PAUSE_MS = 2_000;

/**
 * Gets an address, and brings the link up for that if it is down. The record is on disk when this returns, and before that from the moment
 * on when the address is asked for. Whatever fails, nothing is left. Throws a CniError when there is none by `until`, and what the
 * signal aborts with.
 */
export async function acquire(applicant: Applicant, deps: AcquireDeps, limits: Limits): Promise<LeaseRecord> {
  const { netns, ifName, options } = applicant;
  const wire = await deps.links.open({ netns, ifName, up: true });
  if (wire === undefined) throw failure(`error looking up "${ifName}": Link not found`);
  try {
    if (!ETHERNET.test(wire.mac)) throw failure(`"${ifName}" is no Ethernet interface`);
    const client = { mac: wire.mac, options };
    return await ask(applicant, { wire, clock: deps.clock, client }, deps, limits);
  } finally {
    wire.close();
  }
}

async function ask(
  { options, ...who }: Applicant,
  talk: Talk,
  { clock, records, log }: AcquireDeps,
  { until, signal }: Limits,
): Promise<LeaseRecord> {
  const begun = clock.now();
  let silence = `no DHCP server answered on "${who.ifName}"`;
  // Tells more than silence, which may be no more than the end of the time.
  let refusal: string | undefined;
  let asked: LeaseRecord | undefined;
  try {
    for (;;) {
      const offer = await discover(talk, undefined, { delays: backoff(clock), until, signal });
      if (offer === undefined || clock.now() >= until) {
        const seconds = Math.round((clock.now() - begun) / 100) / 10;
        throw failure(`no more tries: ${refusal ?? silence} within ${seconds} s`);
      }
      const { server, address } = offer;
      asked = { ...who, mac: talk.client.mac, options: recordedOptions(options), server, address };
      await records.put(asked);
      const answer = await select(talk, offer, { delays: few(clock), until, signal });
      if (answer?.kind === 'ack') {
        const granted = { ...timesOf(answer.options, answer.sentAt), result: resultOf(answer) };
        const full = { ...asked, server: answer.server, address: answer.address, granted };
        await records.put(full);
        return full;
      }
      if (answer === undefined) {
        silence = `DHCP server ${server.address} gave no answer to the request for ${address}`;
      } else {
        // What was refused is not ours to give back.
        asked = undefined;
        await records.drop(who.client);
        const reason = answer.reason === '' ? '' : ` (${answer.reason})`;
        refusal = `DHCP server ${server.address} refused${reason} ${address}`;
      }
      const problem = answer === undefined ? silence : refusal;
      log.warn('a DHCP server does not give what it has offered', { client: who.client, problem });
      await clock.sleep(Math.max(0, Math.min(REFUSED_PAUSE_MS, until - clock.now())), signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    if (asked !== undefined) await giveBack(talk, asked, records);
    throw error;
  }
}

/** The server may have granted it all the same. */
async function giveBack(
  talk: Talk,
  { client, server, address }: LeaseRecord,
  records: AcquireDeps['records'],
): Promise<void> {
  try {
    release(talk, server, address);
  } catch {
    // The link is gone, and with it the way to the server.
  }
  await records.drop(client);
}

function* few(clock: Clock): Generator<number> {
  const delays = backoff(clock);
  for (let count = 0; count < REQUESTS; count += 1) yield delays.next().value;
}
