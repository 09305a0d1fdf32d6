import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { ByteChannel } from './channel.ts';
import type { AttachRequest, CommandStreams, ExecRequest, StreamingRuntime } from './runtime.ts';
import { encodeStatus, exitStatus, internalError, type Status, SUCCESS } from './status.ts';
import { terminalSizes } from './terminal-size.ts';

export type CommandChannel = 'stdin' | 'stdout' | 'stderr' | 'error' | 'resize';

/** A client's connection for exec or attach, with the channels that the request asks for. */
export interface CommandConnection {
  readonly channels: Partial<Record<CommandChannel, ByteChannel>>;
  readonly jsonStatus: boolean;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  /** Ends it once what was written is sent; resolves when it is gone. */
  close(): Promise<void>;
}

/** Runs what was asked for on the client's connection, tells the outcome, and closes it. Does not throw. */
export async function serveCommand(
  runtime: StreamingRuntime,
  request: ExecRequest | AttachRequest,
  connection: CommandConnection,
  log: Logger,
): Promise<void> {
  const { channels, jsonStatus, signal } = connection;
  const status = await outcome(runtime, request, streamsOf(connection), signal, log);
  try {
    if (!signal.aborted) await channels.error?.write(encodeStatus(status, jsonStatus));
  } catch {
    // Gone meanwhile: nobody is left to be told.
  }
  await connection.close();
}

async function outcome(
  runtime: StreamingRuntime,
  request: ExecRequest | AttachRequest,
  streams: CommandStreams,
  signal: AbortSignal,
  log: Logger,
): Promise<Status> {
  const isExec = request.kind === 'exec';
  try {
    if (isExec) return exitStatus(request.cmd, await runtime.exec(request, streams, signal));
    await runtime.attach(request, streams, signal);
    return SUCCESS;
  } catch (error) {
    const { containerId } = request;
    if (signal.aborted) log.debug('client is gone', { kind: request.kind, container: containerId });
    else
      log.warn('streaming failed', { kind: request.kind, container: containerId, error: messageOf(error) });
    return internalError(
      `${isExec ? 'error executing command in container' : 'error attaching to container'}: ${messageOf(error)}`,
    );
  }
}

function streamsOf({ channels }: CommandConnection): CommandStreams {
  const { stdin, stdout, stderr, resize } = channels;
  return {
    ...(stdin !== undefined && { stdin: stdin.input }),
    ...(stdout !== undefined && { stdout: (chunk) => stdout.write(chunk) }),
    ...(stderr !== undefined && { stderr: (chunk) => stderr.write(chunk) }),
    ...(resize !== undefined && { sizes: terminalSizes(resize.input) }),
  };
}
