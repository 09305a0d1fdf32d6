/**
 * firewalld, over D-Bus (firewalld.dbus(5), interface org.fedoraproject.FirewallD1.zone): what comes from a source and goes to it is
 * treated as the source's zone says. Sources that are added so are forgotten by a firewalld that ends or is told to reload.
 */
import { BUS, type BusOptions, DbusError, MessageBus } from '../../../../kernel/dbus/bus.ts';
import type { DbusValue } from '../../../../kernel/dbus/message.ts';
import { codeOf } from '../../../../lib/errors.ts';

const NAME = 'org.fedoraproject.FirewallD1';
const ZONES = {
  destination: NAME,
  path: '/org/fedoraproject/FirewallD1',
  interface: 'org.fedoraproject.FirewallD1.zone',
} as const;

/** Why a source cannot be in a zone: it is in none, in another one, there is no such zone, or no firewalld. */
const NOT_THERE: readonly string[] = ['UNKNOWN_SOURCE', 'ZONE_CONFLICT', 'INVALID_ZONE', 'NOT_RUNNING'];

/** firewalld refused, and changed nothing. */
export class FirewalldRefusal extends Error {
  override readonly name = 'FirewalldRefusal';
  /** What firewalld's messages begin with: `INVALID_ZONE`. */
  readonly reason: string;

  constructor(message: string, reason = message.split(/[:\n]/, 1)[0] ?? '') {
    // What follows the first line may be a whole transaction.
    super(message.split('\n', 1)[0]);
    this.reason = reason;
  }
}

/** A connection for one run of the plugin. Each call throws as MessageBus.call does, and a FirewalldRefusal. */
export class Firewalld implements Disposable {
  private readonly bus: MessageBus;

  private constructor(bus: MessageBus) {
    this.bus = bus;
  }

  /** Throws as MessageBus.open does. That firewalld runs is not said by this. */
  static open(options: BusOptions): Firewalld {
    return new Firewalld(MessageBus.open(options));
  }

  /** Undefined when there is no bus, or no firewalld on it. Throws when a bus is there that does not answer. */
  static openIfRunning(options: BusOptions): Firewalld | undefined {
    let opened: Firewalld | undefined;
    let runs = false;
    try {
      opened = Firewalld.open(options);
      runs = opened.isRunning();
    } catch (error) {
      if (codeOf(error) !== 'UNAVAILABLE') throw error;
    } finally {
      if (!runs) opened?.[Symbol.dispose]();
    }
    return runs ? opened : undefined;
  }

  /** Puts a source, an address with its prefix length, into a zone. False when it was there. */
  addSource(zone: string, source: string): boolean {
    try {
      this.call('addSource', zone, source);
      return true;
    } catch (error) {
      if (error instanceof FirewalldRefusal && error.reason === 'ZONE_ALREADY_SET') return false;
      throw error;
    }
  }

  /** Takes a source out of a zone; that it is not there, or firewalld is not, is success. */
  removeSource(zone: string, source: string): void {
    try {
      this.call('removeSource', zone, source);
    } catch (error) {
      if (!(error instanceof FirewalldRefusal && NOT_THERE.includes(error.reason))) throw error;
    }
  }

  hasSource(zone: string, source: string): boolean {
    return this.call('querySource', zone, source) === true;
  }

  [Symbol.dispose](): void {
    this.bus.close();
  }

  private isRunning(): boolean {
    const [owned] = this.bus.call({
      ...BUS,
      member: 'NameHasOwner',
      args: [NAME],
    });
    return owned === true;
  }

  private call(member: string, zone: string, source: string): DbusValue | undefined {
    try {
      return this.bus.call({ ...ZONES, member, args: [zone, source] })[0];
    } catch (error) {
      if (!(error instanceof DbusError)) throw error;
      if (this.isRunning()) throw new FirewalldRefusal(error.message);
      throw new FirewalldRefusal(`firewalld is not running: ${error.message}`, 'NOT_RUNNING');
    }
  }
}
