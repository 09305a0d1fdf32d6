import { DEFAULT_CONFIG_PATH, loadConfig } from '../config/load.ts';
import { socketPath, timeoutSeconds } from '../config/rules.ts';
import { Client } from './client.ts';
import type { CommandContext, OptionSpecs, Values } from './command.ts';
import { UsageError } from './exit.ts';

/** The flags of every command that talks to the daemon. */
export const connectionOptions = {
  address: { type: 'string', short: 'a', value: 'SOCKET', help: "the daemon's unix socket" },
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    help: "read the socket's path from this configuration",
  },
  timeout: { type: 'string', short: 't', value: 'SECONDS', help: 'give up on a call after so long' },
} as const satisfies OptionSpecs;

/** Those, and the choice between a table and JSON. */
export const clientOptions = {
  ...connectionOptions,
  json: { type: 'boolean', help: 'print JSON, for programs' },
} as const satisfies OptionSpecs;

/** Connects to the daemon that flags and environment name. Throws UnreachableError when nobody answers. */
export function connect(values: Values<typeof connectionOptions>, context: CommandContext): Promise<Client> {
  const timeout = values.timeout === undefined ? {} : { timeoutMs: milliseconds(values.timeout) };
  return Client.connect({ address: addressOf(values, context.env), signal: context.signal, ...timeout });
}

/** --address, then --config, then BERTH_ADDRESS, then the default configuration. */
export function addressOf(
  values: Pick<Values<typeof connectionOptions>, 'address' | 'config'>,
  env: CommandContext['env'],
): string {
  if (values.address !== undefined) return checked('--address', values.address);
  const fromEnv = env['BERTH_ADDRESS'];
  if (values.config === undefined && fromEnv !== undefined && fromEnv !== '')
    return checked('BERTH_ADDRESS', fromEnv);
  const explicit = values.config !== undefined;
  return loadConfig({ path: values.config ?? DEFAULT_CONFIG_PATH, explicit }).config.grpc.address;
}

function checked(source: string, address: string): string {
  const result = socketPath.safeParse(address);
  if (result.success) return result.data;
  throw new UsageError(`${source} ${result.error.issues[0]?.message ?? 'is not valid'}, not "${address}"`);
}

function milliseconds(text: string): number {
  const result = timeoutSeconds.safeParse(text.trim() === '' ? Number.NaN : Number(text));
  if (result.success) return result.data * 1000;
  throw new UsageError(`--timeout ${result.error.issues[0]?.message ?? 'is not valid'}, not "${text}"`);
}
