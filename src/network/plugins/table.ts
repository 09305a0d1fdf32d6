/** The built-in plugins as a table: what README.md shows, and `berth cni` prints. */
import { type KnownKeys, protocolKeys } from './config.ts';
import type { Plugin } from './plugin.ts';
import type { Registry } from './registry.ts';
import { versionsOf } from './skeleton.ts';

export interface PluginFacts {
  readonly type: string;
  /** Its own keys, those below another one after a dot; not those of the protocol. */
  readonly keys: readonly string[];
  readonly verbs: readonly string[];
  /** The oldest and the newest version of the specification. */
  readonly versions: string;
}

/** Facts of all plugins, by type. */
export function pluginFacts(registry: Registry): PluginFacts[] {
  return [...registry.values()].map(factsOf).sort((a, b) => (a.type < b.type ? -1 : 1));
}

function factsOf(plugin: Plugin): PluginFacts {
  const versions = versionsOf(plugin);
  const more = [
    ...(plugin.gc === undefined ? [] : ['GC']),
    ...(plugin.status === undefined ? [] : ['STATUS']),
  ];
  return {
    type: plugin.type,
    keys: namesOf(plugin.keys).filter(
      (name) => !Object.hasOwn(protocolKeys, name) && name !== 'runtimeConfig',
    ),
    verbs: ['ADD', 'DEL', 'CHECK', ...more, 'VERSION'],
    versions: `${versions[0] ?? ''} – ${versions.at(-1) ?? ''}`,
  };
}

function namesOf(keys: KnownKeys, before = ''): string[] {
  return Object.entries(keys).flatMap(([name, below]) =>
    below === true ? [`${before}${name}`] : namesOf(below, `${before}${name}.`),
  );
}

/** The table in Markdown. */
export function markdownTable(facts: readonly PluginFacts[]): string {
  const rows = facts.map(({ type, keys, verbs, versions }) => {
    const own = keys.length === 0 ? '–' : keys.map((key) => `\`${key}\``).join(', ');
    const cells = [`\`${type}\``, own, verbs.join(' '), versions];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| plugin | keys | verbs | versions |', '|---|---|---|---|', ...rows].join('\n');
}
