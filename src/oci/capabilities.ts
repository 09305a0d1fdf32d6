import type { Capability__Output } from '../gen/runtime/v1/Capability.ts';
import { invalid } from '../lib/errors.ts';
import { capabilityName } from './capability-names.ts';
import { SECURITY, type SpecInput, securityOf, withProcessPart } from './input.ts';
import type { RuntimeSpec } from './types.ts';

/**
 * The capabilities of the process. ALL, added or dropped, comes before single names, so that ALL but one can be said. A
 * privileged container has all that we have ourselves. Ambient ones are also inheritable, and so survive an execve by a
 * user that is not root.
 */
export function withCapabilities(spec: RuntimeSpec, { config, host }: SpecInput): RuntimeSpec {
  const { capabilities: asked, privileged } = securityOf(config);
  const defaults = spec.process.capabilities.bounding;
  const ambient =
    privileged || asked === null
      ? []
      : names('add_ambient_capabilities', asked.addAmbientCapabilities, host.capabilities);
  const set = privileged
    ? host.capabilities
    : [...new Set([...chosen(asked, defaults, host.capabilities), ...ambient])];
  return withProcessPart(spec, {
    capabilities: {
      bounding: set,
      effective: set,
      permitted: set,
      ...(ambient.length === 0 ? {} : { inheritable: ambient, ambient }),
    },
  });
}

function chosen(
  asked: Capability__Output | null,
  defaults: readonly string[],
  all: readonly string[],
): readonly string[] {
  if (asked === null) return defaults;
  const add = names('add_capabilities', asked.addCapabilities, []);
  const drop = new Set(names('drop_capabilities', asked.dropCapabilities, []));
  let set = defaults;
  if (asked.addCapabilities.some(isAll)) set = all;
  if (asked.dropCapabilities.some(isAll)) set = [];
  return [...new Set([...set, ...add])].filter((name) => !drop.has(name));
}

const isAll = (name: string): boolean => /^(CAP_)?ALL$/i.test(name);

/** Full names; ALL stands for the given ones. */
function names(field: string, asked: readonly string[], all: readonly string[]): string[] {
  return asked.flatMap((name, i) => {
    if (isAll(name)) return all;
    const full = capabilityName(name);
    if (full === undefined) {
      throw invalid(`${SECURITY}.capabilities.${field}[${i}]`, `unknown capability ${JSON.stringify(name)}`);
    }
    return [full];
  });
}
