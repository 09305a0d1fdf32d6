/** `berth cni dhcp daemon`: keeps the DHCP leases of other runtimes' pods where no `berth serve` runs to do it. */
import { dirname, join } from 'node:path';
import { FileLock } from '../kernel/flock.ts';
import { makeDirectorySync } from '../lib/directories.ts';
import { aborted } from '../lib/deadline.ts';
import { BerthError } from '../lib/errors.ts';
import { createLogger } from '../lib/log.ts';
import { DEFAULT_SOCKET } from '../network/plugins/ipam/dhcp/conf.ts';
import { Leases } from '../network/plugins/ipam/dhcp/leases.ts';
import { PodLinks } from '../network/plugins/ipam/dhcp/links.ts';
import { LeaseServer } from '../network/plugins/ipam/dhcp/server.ts';
import { defineCommand } from './command.ts';
import { Exit } from './exit.ts';

const DEFAULT_DIRECTORY = '/var/lib/berth/dhcp';

export const command = defineCommand({
  name: 'cni dhcp daemon',
  summary: "Keep the DHCP leases of other runtimes' pods where no berth serve runs, until SIGTERM or SIGINT",
  arity: [0, 0],
  options: {
    socketpath: {
      type: 'string',
      value: 'PATH',
      help: `the socket to serve on, ${DEFAULT_SOCKET} by default`,
    },
    directory: {
      type: 'string',
      value: 'PATH',
      help: `where leases are recorded, ${DEFAULT_DIRECTORY} by default`,
    },
  },
  details: `berth cni dhcp hands its leases to it. They are kept when it ends, and it goes on with them when it is
started again.`,
  async run({ socketpath = DEFAULT_SOCKET, directory = DEFAULT_DIRECTORY }, _positionals, context) {
    for (const path of [directory, dirname(socketpath)]) makeDirectorySync(path, 0o700);
    using lock = FileLock.tryAcquire(join(directory, 'lock'));
    if (lock === undefined) throw new BerthError('ALREADY_EXISTS', `another daemon uses "${directory}"`);
    const log = createLogger({ level: 'info', format: 'text' });
    const links = new PodLinks();
    const leases = new Leases({ directory, links, log });
    const server = new LeaseServer(socketpath, leases, log);
    leases.load();
    context.onInquiry(() => log.info('report', { leases: leases.list().length }));
    try {
      await server.start();
      log.info('keeping DHCP leases', { socket: socketpath, leases: leases.list().length });
      await aborted(context.signal);
    } finally {
      await server.stop();
      await leases.stop();
      await links.stop();
    }
    return Exit.ok;
  },
});
