import { isIPv4, isIPv6 } from 'node:net';
import type { PortMapping } from '../../gen/runtime/v1/PortMapping.ts';
import { UsageError } from '../exit.ts';

const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const;
const FORM = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d+):(\d+)(?:\/(\w+))?$/;

/**
 * `8080:80`, `127.0.0.1:8080:80/udp` or `[::1]:8080:80`: host address, host port, container port and protocol, TCP when
 * it is not said. Throws UsageError.
 */
export function parsePort(text: string): PortMapping {
  const [matched, ipv6, ipv4 = '', host, container, protocol = 'tcp'] = FORM.exec(text) ?? [];
  if (matched === undefined) throw wrong(text, 'must be [ADDRESS:]HOST_PORT:CONTAINER_PORT[/PROTOCOL]');
  const known = Object.entries(PROTOCOLS).find(([name]) => name === protocol.toLowerCase())?.[1];
  if (known === undefined) throw wrong(text, 'has a protocol that is not tcp, udp or sctp');
  if (ipv6 === undefined ? ipv4 !== '' && !isIPv4(ipv4) : !isIPv6(ipv6))
    throw wrong(text, 'has an invalid host address');
  return {
    hostIp: ipv6 ?? ipv4,
    hostPort: portNumber(text, host),
    containerPort: portNumber(text, container),
    protocol: known,
  };
}

function portNumber(text: string, digits = ''): number {
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw wrong(text, 'has a port outside 1 to 65535');
  return port;
}

function wrong(text: string, problem: string): UsageError {
  return new UsageError(`--port "${text}" ${problem}`);
}
