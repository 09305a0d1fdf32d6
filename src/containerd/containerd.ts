import type { Logger } from '../lib/log.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import { Containers } from './containers.ts';
import { Content } from './content.ts';
import { Diffs } from './diffs.ts';
import { Events } from './events.ts';
import { Images } from './images.ts';
import { Introspection } from './introspection.ts';
import { Leases } from './leases.ts';
import { Namespaces } from './namespaces.ts';
import { Snapshots } from './snapshots.ts';
import { Tasks } from './tasks.ts';

/** One containerd: a connection, and its services in one namespace. */
export class Containerd {
  readonly connection: Connection;
  readonly introspection: Introspection;
  readonly namespaces: Namespaces;
  readonly leases: Leases;
  readonly images: Images;
  readonly content: Content;
  readonly diffs: Diffs;
  readonly containers: Containers;
  readonly tasks: Tasks;
  readonly events: Events;

  constructor(settings: ConnectionSettings & { readonly log: Logger }) {
    const connection = new Connection(settings);
    this.connection = connection;
    this.introspection = new Introspection(connection);
    this.namespaces = new Namespaces(connection);
    this.leases = new Leases(connection);
    this.images = new Images(connection);
    this.content = new Content(connection);
    this.diffs = new Diffs(connection);
    this.containers = new Containers(connection);
    this.tasks = new Tasks(connection);
    this.events = new Events(connection, settings.log);
  }

  /** The snapshots of one snapshotter. */
  snapshots(snapshotter: string): Snapshots {
    return new Snapshots(this.connection, snapshotter);
  }
}
