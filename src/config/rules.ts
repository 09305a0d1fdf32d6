/**
 * What a value of the configuration may be, beyond its type. Each rule is a zod schema whose message completes
 * the sentence `invalid <section>.<key>: …`.
 */
import { isIP } from 'node:net';
import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';

/** sun_path holds 108 bytes with its final zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
const UNIX_SCHEME = 'unix://';
const DAY_SECONDS = 86_400;

const string = z.string('must be a string');

/** An absolute path, without `.`, `..` and double slashes. */
export const absolutePath = string
  .refine((path) => !path.includes('\0'), { error: 'must not contain a NUL character', abort: true })
  .refine(isAbsolute, 'must be an absolute path')
  .transform(withoutTrailingSlash);

/** An absolute path, or '' for none. */
export const optionalPath = orEmpty(absolutePath);

/** A directory of plugin executables: part of CNI_PATH, whose separator it must not contain. */
export const pluginDirectory = absolutePath.refine((path) => !path.includes(':'), 'must not contain a colon');

/** The path of a unix socket, plain or as a `unix://` URL; the value is always the plain path. */
export const socketPath = string
  .transform((address) => (address.startsWith(UNIX_SCHEME) ? address.slice(UNIX_SCHEME.length) : address))
  .refine(isAbsolute, { error: 'must be the absolute path of a unix socket', abort: true })
  .transform(withoutTrailingSlash)
  .refine(
    (path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES,
    `must not be longer than ${MAX_SOCKET_PATH_BYTES} bytes`,
  );

/** A time limit in seconds: more than nothing, a day at most. */
export const timeoutSeconds = z
  .number('must be a number of seconds')
  .positive('must be more than 0 seconds')
  .max(DAY_SECONDS, `must be at most ${DAY_SECONDS} seconds`);

/** A TCP port; 0 lets the kernel choose. */
export const port = integer(0, 65_535);

/** A literal IP address to listen on. */
export const ipAddress = string.refine((address) => isIP(address) !== 0, 'must be an IP address');

/** `address:port` with a literal IP address, an IPv6 one in brackets; or '' for none. */
export const listenAddress = orEmpty(
  string.refine(
    (text) => parseListenAddress(text) !== undefined,
    'must be ADDRESS:PORT, such as 127.0.0.1:9100',
  ),
);

/** The name of a runtime handler, as kubelet sends it. */
export const handlerName = string.regex(
  /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/,
  'must consist of letters, digits, dots, dashes and underscores',
);

/** An executable: an absolute path, a bare name for PATH, or '' for the default one. */
export const executable = orEmpty(
  string.refine((name) => isAbsolute(name) || /^[\w.+-]+$/.test(name), 'must be a name or an absolute path'),
);

export function integer(min: number, max: number): z.ZodNumber {
  return z
    .int('must be a whole number')
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`);
}

/** One of some words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, `must be one of ${words.map((word) => `"${word}"`).join(', ')}`);
}

/** A truth value. */
export const flag = z.boolean('must be true or false');

/** Patterns with `*` and `?`, as those of containerd's pod_annotations. */
export const patterns = z.array(
  string.refine((pattern) => pattern !== '', 'must not be empty'),
  'must be a list of patterns',
);

/** A seccomp profile, as the deprecated fields of the CRI name one; or '' for none. */
export const seccompProfile = string.regex(
  /^(|unconfined|(runtime|docker)\/default|localhost\/\/.+)$/,
  'must be "runtime/default", "unconfined" or "localhost/" and an absolute path',
);

/** The name of a snapshotter, or '' for none. */
export const snapshotter = string.regex(/^[\w.-]*$/, 'must be the name of a snapshotter');

/** A string that may be anything. */
export const text = string;

/** What the rule accepts, or '' for none. */
function orEmpty(rule: z.ZodType<string, string>) {
  return orWord([''], rule);
}

/** One of some words as it is, or what the rule accepts. */
export function orWord(words: readonly string[], rule: z.ZodType<string, string>) {
  return string.transform((value, context) => {
    if (words.includes(value)) return value;
    const checked = rule.safeParse(value);
    if (checked.success) return checked.data;
    context.addIssue({ code: 'custom', message: checked.error.issues[0]?.message ?? 'is not valid' });
    return z.NEVER;
  });
}

/** Takes `127.0.0.1:9100` or `[::1]:9100` apart; undefined when it is neither. */
export function parseListenAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const number = Number(match?.[3]);
  if (host === undefined || number > 65_535) return undefined;
  return isIP(host) === (match?.[1] === undefined ? 4 : 6) ? { host, port: number } : undefined;
}

function withoutTrailingSlash(path: string): string {
  const clean = normalize(path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}
