import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouteSpec } from '../../../../kernel/netlink/routes.ts';
import { makeDirectorySync } from '../../../../lib/directories.ts';
import { removeTemporarySync, setAsideSync, writeFileAtomic } from '../../../../lib/atomic-file.ts';
import { messageOf } from '../../../../lib/errors.ts';
import { isJsonObject } from '../../../../lib/json.ts';
import type { Logger } from '../../../../lib/log.ts';
import { bootId } from '../../../../lib/time.ts';
import type { Result } from '../../../cni/types.ts';
import type { Clock, Server } from './exchange.ts';
import type { Options } from './message.ts';
import { shifted, type Times } from './terms.ts';

/** One lease: all that it takes to go on with it, or to give it back. */
export interface LeaseRecord {
  /** `<container>/<network>/<interface>`. */
  readonly client: string;
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  /** The hardware address that servers know the client by. */
  readonly mac: string;
  /** Codes and base64 values of what the client says in each message. */
  readonly options: readonly (readonly [number, string])[];
  readonly server: Server;
  readonly address: string;
  /** Absent until the server has granted what it offered. */
  readonly granted?: Times & { readonly result: Result };
  /** The lease has run out, so the address is taken off the interface, and these routes with it. */
  readonly withdrawn?: readonly RouteSpec[];
}

/**
 * As it is on disk: with times of the wall, which means something after a reboot and to earlier versions, and how far that was ahead of
 * the clock of leases since that start of the machine. Earlier versions kept to the wall alone.
 */
interface RecordOnDisk extends LeaseRecord {
  readonly clock?: WallClock;
}

interface WallClock {
  readonly bootId: string;
  readonly aheadMs: number;
}

function recordOf(value: unknown): RecordOnDisk {
  const { client, netns, ifName, mac, options, server } = isJsonObject(value) ? value : {};
  const isWhole =
    [client, netns, ifName, mac].every((each) => typeof each === 'string') &&
    Array.isArray(options) &&
    isJsonObject(server);
  if (!isWhole) throw new TypeError('not the record of a lease');
  return value as RecordOnDisk;
}

function onClock(record: LeaseRecord, aheadMs: number): LeaseRecord {
  const { granted } = record;
  return granted === undefined ? record : { ...record, granted: shifted(granted, aheadMs) };
}

/** Options as a record keeps them. */
export function recordedOptions(options: Options): LeaseRecord['options'] {
  return [...options].map(([code, value]) => [code, Buffer.from(value).toString('base64')]);
}

export function optionsOf(recorded: LeaseRecord['options']): Options {
  return new Map(recorded.map(([code, value]) => [code, Buffer.from(value, 'base64')]));
}

/** The records of leases: a directory with a file for each. */
export class LeaseRecords {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(directory: string, log: Logger, clock: Pick<Clock, 'now'>) {
    this.#directory = directory;
    this.#log = log;
    this.#clock = clock;
  }

  /** Those of earlier runs. A file that cannot be read is set aside by name, so that a person can look. */
  load(): LeaseRecord[] {
    makeDirectorySync(this.#directory, 0o700);
    removeTemporarySync(this.#directory);
    const wall = this.#wall();
    const files = readdirSync(this.#directory).filter((name) => name.endsWith('.json'));
    return files.flatMap((file) => {
      const path = join(this.#directory, file);
      try {
        const { clock, ...record } = recordOf(JSON.parse(readFileSync(path, 'utf8')));
        const { aheadMs } = clock?.bootId === wall.bootId ? clock : wall;
        return [onClock(record, -aheadMs)];
      } catch (error) {
        this.#log.error('set an unreadable lease aside', {
          path: setAsideSync(path),
          error: messageOf(error),
        });
        return [];
      }
    });
  }

  /** Durable when it returns. */
  async put(record: LeaseRecord): Promise<void> {
    const clock = this.#wall();
    const onDisk: RecordOnDisk = { ...onClock(record, clock.aheadMs), clock };
    await writeFileAtomic(this.#path(record.client), JSON.stringify(onDisk), { sync: true });
  }

  async drop(client: string): Promise<void> {
    await rm(this.#path(client), { force: true });
  }

  #wall(): WallClock {
    return { bootId: bootId(), aheadMs: Date.now() - this.#clock.now() };
  }

  /** Names of containers and interfaces may be longer, or stranger, than those of files. */
  #path(client: string): string {
    const name = createHash('sha256').update(client).digest('hex').slice(0, 32);
    return join(this.#directory, `${name}.json`);
  }
}
