/** What streaming needs of the rest: the processes of containers and the ports of pods. */
import type { Socket } from 'node:net';

export interface ExecRequest {
  readonly kind: 'exec';
  readonly containerId: string;
  readonly cmd: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface AttachRequest {
  readonly kind: 'attach';
  readonly containerId: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface PortForwardRequest {
  readonly kind: 'portforward';
  readonly podSandboxId: string;
  /** For WebSocket clients of the channel protocols; others name ports on their streams. */
  readonly ports: readonly number[];
}

export type StreamingRequest = ExecRequest | AttachRequest | PortForwardRequest;

/** In characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** What a client brings and takes; a stream that it did not ask for is absent. */
export interface CommandStreams {
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly stdout?: (chunk: Uint8Array) => Promise<void>;
  readonly stderr?: (chunk: Uint8Array) => Promise<void>;
  /** Of the client's terminal, as it changes; ends with the client. */
  readonly sizes?: AsyncIterable<TerminalSize>;
}

export interface StreamingRuntime {
  /** Runs a command and returns its exit code. When the signal aborts, the client is gone and the process is ended. */
  exec(request: ExecRequest, streams: CommandStreams, signal: AbortSignal): Promise<number>;
  /** Resolves when the container's output is over, or the client's stdin where that ends the session. */
  attach(request: AttachRequest, streams: CommandStreams, signal: AbortSignal): Promise<void>;
  /** Connects to a port on the pod's own loopback. */
  connect(podSandboxId: string, port: number, signal: AbortSignal): Promise<Socket>;
}
