/** In milliseconds. */
export interface StreamingLimits {
  /** A connection on which nothing happens for so long is ended. */
  readonly idleMs: number;
  /** How long a SPDY client may take to open the streams that belong together. */
  readonly creationMs: number;
  /**
   * After our last byte, how long a client may be silent before it is given up. One that reads slowly still talks (client-go pings every
   * 5 s), and would lose what the kernel has not yet sent: what arrives at a closed socket resets the connection. One that is silent loses
   * nothing.
   */
  readonly lingerMs: number;
}
