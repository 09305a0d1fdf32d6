/**
 * The keys of the file: snake_case there, camelCase inside. Turns a parsed file into the tree that the schema
 * takes and names every key that does not exist.
 */
import { nearest } from './nearest.ts';
import { handlerName } from './rules.ts';
import { runtimeHandlerSchema, sections } from './schema.ts';
import { isTable, type TomlTree } from './toml-file.ts';

/** A tree with camelCase keys, not yet checked. */
export type ConfigTree = Record<string, unknown>;

/** `confDir` → `conf_dir`. */
export function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A path in the tree as the file writes it: `cni.conf_dir`. The name of a runtime handler stays as it is. */
export function dottedPath(path: readonly string[]): string {
  return path.map((key, index) => (path[1] === 'runtimes' && index === 2 ? key : snakeCase(key))).join('.');
}

/** Renames the keys of a parsed file; problems are added to the list, one sentence each. */
export function fromToml(file: TomlTree, problems: string[]): ConfigTree {
  const tree: ConfigTree = {};
  for (const [name, table] of Object.entries(file)) {
    const section = Object.entries(sections).find(([known]) => known === name)?.[1];
    if (section === undefined) {
      problems.push(unknownSection(name));
    } else if (isTable(table)) {
      tree[name] = rename(table, Object.keys(section.shape), name, problems);
    } else {
      problems.push(`invalid ${name}: must be a table`);
    }
  }
  renameRuntimes(tree['containerd'], problems);
  return tree;
}

/** The handlers are a map, so its keys are the operator's and only their values have known keys. */
function renameRuntimes(containerd: unknown, problems: string[]): void {
  if (!isTable(containerd) || !isTable(containerd['runtimes'])) return;
  const runtimes: ConfigTree = { runc: {} };
  for (const [name, handler] of Object.entries(containerd['runtimes'])) {
    const path = `containerd.runtimes.${name}`;
    const nameProblem = handlerName.safeParse(name).error?.issues[0]?.message;
    if (nameProblem !== undefined) problems.push(`invalid ${path}: the name ${nameProblem}`);
    else if (!isTable(handler)) problems.push(`invalid ${path}: must be a table`);
    else runtimes[name] = rename(handler, Object.keys(runtimeHandlerSchema.shape), path, problems);
  }
  Object.assign(containerd, { runtimes });
}

function rename(table: TomlTree, known: readonly string[], path: string, problems: string[]): ConfigTree {
  const camelBySnake = new Map(known.map((key) => [snakeCase(key), key]));
  const renamed: ConfigTree = {};
  for (const [key, value] of Object.entries(table)) {
    const camel = camelBySnake.get(key);
    if (camel === undefined) problems.push(unknownKey(`${path}.`, key, camelBySnake.keys()));
    else renamed[camel] = value;
  }
  return renamed;
}

function unknownSection(name: string): string {
  const near = nearest(name, Object.keys(sections)) ?? keyInASection(name);
  return `unknown section ${name}${near === undefined ? '' : ` (did you mean ${near}?)`}`;
}

/** A key that stands before the first section header belongs into the section that has it. */
function keyInASection(key: string): string | undefined {
  const owner = Object.entries(sections).find(([, { shape }]) =>
    Object.keys(shape).map(snakeCase).includes(key),
  );
  return owner === undefined ? undefined : `${owner[0]}.${key}`;
}

function unknownKey(prefix: string, key: string, known: Iterable<string>): string {
  const near = nearest(key, known);
  return `unknown key ${prefix}${key}${near === undefined ? '' : ` (did you mean ${prefix}${near}?)`}`;
}
