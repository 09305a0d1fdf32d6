/** How an outcome is told to the client, on its error channel. */
import { Buffer } from 'node:buffer';

/** The parts of a Kubernetes Status (meta/v1) that are used here. */
export interface Status {
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes: readonly { readonly reason?: string; readonly message: string }[] };
  readonly code?: number;
}

export const SUCCESS: Status = { metadata: {}, status: 'Success' };

/** A command ended with a code that is not 0: clients read the code from the cause. */
export function exitStatus(cmd: readonly string[], exitCode: number): Status {
  if (exitCode === 0) return SUCCESS;
  const ended = `error executing command [${cmd.join(' ')}], exit code ${exitCode}`;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: ${ended}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

export function internalError(message: string): Status {
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}

/** What goes over the wire: JSON since v4, before that the text of a failure, and nothing for a success. */
export function encodeStatus(status: Status, json: boolean): Uint8Array {
  return Buffer.from(
    json ? JSON.stringify(status) : status.status === 'Success' ? '' : (status.message ?? ''),
  );
}
