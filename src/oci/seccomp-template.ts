/**
 * The seccomp profile of RuntimeDefault, config/seccomp.json: a list of rules, some of which hold only for containers with
 * a certain capability or on a certain architecture.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { wrap } from '../lib/errors.ts';
import { packageRoot } from '../lib/package-root.ts';
import { decodeJson } from '../lib/exact-json.ts';
import type { LinuxSeccomp, LinuxSyscall } from './types.ts';

const integer = z.union([z.number().int(), z.bigint()]);

/** Any of the capabilities, none of `without`, and any of the architectures (as process.arch) must hold. */
const condition = z.strictObject({
  capability: z.array(z.string()).optional(),
  without: z.array(z.string()).optional(),
  architecture: z.array(z.string()).optional(),
});

const rule = z.strictObject({
  /** For people. */
  about: z.string(),
  names: z.array(z.string()).min(1),
  when: condition.optional(),
  action: z.string().default('SCMP_ACT_ALLOW'),
  errnoRet: z.number().int().optional(),
  args: z
    .array(
      z.strictObject({
        index: z.number().int(),
        value: integer,
        valueTwo: integer.optional(),
        op: z.string(),
      }),
    )
    .optional(),
});

const template = z.strictObject({
  about: z.string(),
  defaultAction: z.string(),
  defaultErrnoRet: z.number().int(),
  /** Our own architecture and those whose system calls it can make. */
  architectures: z.record(z.string(), z.array(z.string())),
  rules: z.array(rule),
});

export type SeccompTemplate = z.infer<typeof template>;
type Rule = SeccompTemplate['rules'][number];

/** Reads a template; ours without a path. Throws FAILED_PRECONDITION when it cannot be used. */
export async function loadSeccompTemplate(
  path: string = join(packageRoot(), 'config', 'seccomp.json'),
): Promise<SeccompTemplate> {
  try {
    return template.parse(decodeJson(await readFile(path, 'utf8')));
  } catch (error) {
    throw wrap(`failed to read seccomp profile "${path}"`, error, 'FAILED_PRECONDITION');
  }
}

/** The profile for a container with these capabilities. */
export function seccompFromTemplate(
  { defaultAction, defaultErrnoRet, architectures, rules }: SeccompTemplate,
  capabilities: readonly string[],
  architecture: string,
): LinuxSeccomp {
  const compatible = architectures[architecture];
  return {
    defaultAction,
    defaultErrnoRet,
    ...(compatible === undefined ? {} : { architectures: compatible }),
    syscalls: rules.filter(({ when }) => holds(when, capabilities, architecture)).map(syscall),
  };
}

function holds(when: Rule['when'], capabilities: readonly string[], architecture: string): boolean {
  if (when === undefined) return true;
  const has = (name: string): boolean => capabilities.includes(name);
  return (
    (when.capability?.some(has) ?? true) &&
    !(when.without?.some(has) ?? false) &&
    (when.architecture?.includes(architecture) ?? true)
  );
}

function syscall({ names, action, errnoRet, args }: Rule): LinuxSyscall {
  return {
    names,
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args === undefined
      ? {}
      : {
          args: args.map(({ index, value, valueTwo, op }) => ({
            index,
            value,
            ...(valueTwo === undefined ? {} : { valueTwo }),
            op,
          })),
        }),
  };
}
