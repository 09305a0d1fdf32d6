/** The way from `berth cni dhcp`, a process of its own, to the daemon that keeps leases. Synchronous, as that process is. */
import { readSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { SyscallError } from '../../../../kernel/errno.ts';
import { AF_UNIX, close, connect, SOCK_CLOEXEC, SOCK_STREAM, socket } from '../../../../kernel/libc.ts';
import { unixAddress } from '../../../../kernel/unix-address.ts';
import { messageOf } from '../../../../lib/errors.ts';
import { CniCode, CniError } from '../../../cni/types.ts';
import { failure } from '../../config.ts';
import type { LeaseCall, LeaseReply } from './call.ts';
import { socketPath } from './conf.ts';

/** Asks the daemon at the socket that the configuration names. Throws a CniError with the reference plugin's text. */
export function askDaemon(call: LeaseCall): LeaseReply {
  const path = socketPath(call.config);
  const fd = dial(path, call);
  try {
    const netns = call.netns === '' ? '' : resolve(call.netns);
    return JSON.parse(talk(fd, `${JSON.stringify({ ...call, netns })}\n`)) as LeaseReply;
  } catch (error) {
    throw failure(`error calling the DHCP daemon at ${path}: ${messageOf(error)}`);
  } finally {
    close(fd);
  }
}

/** STATUS has a code for a plugin that cannot serve. */
function dial(path: string, { verb }: LeaseCall): number {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  try {
    connect(fd, unixAddress(path));
    return fd;
  } catch (error) {
    close(fd);
    const reason = error instanceof SyscallError ? `connect: ${error.reason}` : messageOf(error);
    const message = `error dialing DHCP daemon: dial unix ${path}: ${reason}`;
    throw new CniError(verb === 'STATUS' ? CniCode.NotAvailable : CniCode.Internal, message);
  }
}

const REPLY_MOST_BYTES = 1 << 20;

function talk(fd: number, line: string): string {
  for (let rest = Buffer.from(line); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
  const chunks: Buffer[] = [];
  for (let size = 0; size <= REPLY_MOST_BYTES; ) {
    const chunk = Buffer.alloc(65_536);
    const length = readSync(fd, chunk);
    if (length === 0 && size > 0) return Buffer.concat(chunks).toString('utf8');
    if (length === 0) throw failure('it closed the connection without an answer');
    size += length;
    chunks.push(chunk.subarray(0, length));
  }
  throw failure(`its reply is longer than ${REPLY_MOST_BYTES} bytes`);
}
