/** What plugins share in their dealings with the kernel: namespaces given by path, and refusals as errors of the protocol. */
import { statfsSync } from 'node:fs';
import { SyscallError } from '../../kernel/errno.ts';
import { NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { isNamespace, withNetns } from '../../kernel/thread-namespaces.ts';
import { isErrno, messageOf } from '../../lib/errors.ts';
import { CniCode, CniError } from '../cni/types.ts';
import { failure } from './config.ts';

/**
 * The error of the protocol for what the kernel refused: `<doing>: <errno in words>`, as the reference plugins write it. What the kernel
 * said beyond the errno goes into the details. An error of the protocol keeps its code.
 */
export function kernelFailure(doing: string, error: unknown): CniError {
  if (error instanceof CniError) {
    return new CniError(error.code, `${doing}: ${error.message}`, error.details);
  }
  if (error instanceof SyscallError) {
    return new CniError(CniCode.Internal, `${doing}: ${error.reason}`, error.detail);
  }
  return new CniError(CniCode.Internal, `${doing}: ${messageOf(error)}`);
}

/** Does one thing and names it when it fails. */
export function doing<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw kernelFailure(what, error);
  }
}

/** Checks that a namespace is at the path, before anything is made. */
export function requireNetns(netns: string): void {
  if (isNamespace(netns)) {
    return;
  }
  const quoted = JSON.stringify(netns);
  throw failure(`failed to open netns ${quoted}: ${whyNoNamespace(netns, quoted)}`);
}

function whyNoNamespace(netns: string, quoted: string): string {
  try {
    return `unknown FS magic on ${quoted}: ${statfsSync(netns).type.toString(16)}`;
  } catch (error) {
    return isErrno(error, 'ENOENT')
      ? `failed to Statfs ${quoted}: no such file or directory`
      : messageOf(error);
  }
}

/** A socket in the namespace of that path; before it is opened something may be done inside, to sysctls for instance. */
export function openIn(netns: string, inside: () => void = () => undefined): NetlinkSocket {
  try {
    return withNetns(netns, () => {
      inside();
      return NetlinkSocket.open();
    });
  } catch (error) {
    throw error instanceof CniError
      ? error
      : kernelFailure(`failed to open netns ${JSON.stringify(netns)}`, error);
  }
}
