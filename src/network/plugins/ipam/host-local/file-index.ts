import { closeSync, openSync, readdirSync, readSync, type Stats, statSync, unlinkSync } from 'node:fs';
import { isErrno } from '../../../../lib/errors.ts';
import { type Address, formatAddress, parseAddress } from '../../address.ts';
import { AddressSet } from './address-set.ts';

/** A reservation: a file named by its address, holding `<container id>\r\n<interface>`. */
export interface Reservation {
  readonly name: string;
  /** Undefined when the name is no canonical address. */
  readonly address: Address | undefined;
  /** Id and interface, or an id alone as old releases wrote it; '' when the content is neither: its writer died, or its disk. */
  readonly owner: string;
  /** Together they tell whether the file is still the one that was read. */
  readonly ino: number;
  readonly mtimeMs: number;
}

/** Where a reservation is written before it gets its name. A crash may leave it; nothing takes it for an address. */
export const UNNAMED = '.reserving';

export const LAST_RESERVED = 'last_reserved_ip.';
const OWNER_BYTES = 4096;
/** A container id as the specification has it, and an interface. */
const OWNER = /^[A-Za-z0-9][\w.-]*(\r\n[^\s/:]+)?$/;

/** What is in a directory of reservations, in memory. Valid as long as nobody else changes the directory. */
export class FileIndex {
  private readonly files = new Map<string, Reservation>();
  private readonly byOwner = new Map<string, Set<string>>();
  /** Every address that has a file. */
  readonly taken = new AddressSet();

  get(name: string): Reservation | undefined {
    return this.files.get(name);
  }

  all(): Iterable<Reservation> {
    return this.files.values();
  }

  ownedBy(owner: string): Reservation[] {
    return [...(this.byOwner.get(owner) ?? [])].flatMap((name) => this.files.get(name) ?? []);
  }

  add(reservation: Reservation): void {
    const { name, owner, address } = reservation;
    this.delete(name);
    this.files.set(name, reservation);
    const names = this.byOwner.get(owner) ?? new Set();
    this.byOwner.set(owner, names.add(name));
    if (address !== undefined) this.taken.add(address);
  }

  delete(name: string): void {
    const known = this.files.get(name);
    if (known === undefined) return;
    this.files.delete(name);
    const names = this.byOwner.get(known.owner);
    names?.delete(name);
    if (names?.size === 0) this.byOwner.delete(known.owner);
    if (known.address !== undefined) this.taken.delete(known.address);
  }

  /** Makes the index equal to the directory, reading only files that are new or were replaced. */
  refresh(directory: string): void {
    const present = new Set(readdirSync(directory).filter(isReservation));
    for (const name of [...this.files.keys()].filter((known) => !present.has(known))) this.delete(name);
    for (const name of present) {
      const path = `${directory}/${name}`;
      const stat = statSync(path, { throwIfNoEntry: false });
      const known = this.files.get(name);
      if (stat?.isFile() !== true) this.delete(name);
      else if (known?.ino !== stat.ino || known.mtimeMs !== stat.mtimeMs) this.read(path, name, stat);
    }
  }

  private read(path: string, name: string, { ino, mtimeMs }: Stats): void {
    if (name === UNNAMED) {
      unlinkSync(path);
      return;
    }
    const owner = readOwner(path);
    if (owner !== undefined) this.add({ name, address: canonicalAddress(name), owner, ino, mtimeMs });
  }
}

function isReservation(name: string): boolean {
  return name !== 'lock' && !name.startsWith(LAST_RESERVED);
}

function canonicalAddress(name: string): Address | undefined {
  const address = parseAddress(name);
  return address !== undefined && formatAddress(address) === name ? address : undefined;
}

function readOwner(path: string): string | undefined {
  const buffer = Buffer.allocUnsafe(OWNER_BYTES);
  try {
    const fd = openSync(path, 'r');
    try {
      return ownerIn(buffer.toString('utf8', 0, readSync(fd, buffer)));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Line ends of whatever kind are as good as the reference plugin's; garbage is as good as nothing. */
function ownerIn(text: string): string {
  const owner = text.trim().replace(/\r?\n/, '\r\n');
  return OWNER.test(owner) ? owner : '';
}
