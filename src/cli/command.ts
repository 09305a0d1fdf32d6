/**
 * A command of `berth`: its flags as data, from which parsing and help both come, and a function that runs it.
 */
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import { messageOf } from '../lib/errors.ts';
import { UsageError } from './exit.ts';

/** What a command may touch of the process. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Aborts on the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
  /** Calls back at each SIGUSR1: what runs for long tells how it is. */
  onInquiry(tell: () => void): void;
  /** For commands that carry bytes rather than text. */
  readonly streams: ProcessStreams;
}

/** The process's own; a terminal knows its descriptor and its size. */
export interface ProcessStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number };
  readonly stdout: Writable & { readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable;
}

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What the value is called in the help, e.g. `FILE`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<Spec extends OptionSpec> = Spec['type'] extends 'boolean'
  ? boolean
  : Spec extends { readonly multiple: true }
    ? readonly string[]
    : string | undefined;

/** Flags as parsed: a boolean is false and a repeatable one is empty when it was not given. */
export type Values<Specs extends OptionSpecs> = { readonly [Name in keyof Specs]: ValueOf<Specs[Name]> };

export interface CommandSpec<Specs extends OptionSpecs> {
  /** As typed: `pod run`. */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments in the help: `POD...`. */
  readonly positionals?: string;
  /** How many positional arguments there must be. */
  readonly arity: readonly [min: number, max: number];
  readonly options: Specs;
  /** More help, below the flags. */
  readonly details?: string;
  run(values: Values<Specs>, positionals: readonly string[], context: CommandContext): Promise<number>;
}

/** A command, its flags hidden. */
export interface Command {
  readonly name: string;
  /** Parses the arguments and runs; `--help` prints the help instead. Throws UsageError. */
  execute(args: readonly string[], context: CommandContext): Promise<number>;
}

const HELP: OptionSpec = { type: 'boolean', short: 'h', help: 'show this help' };

export function defineCommand<const Specs extends OptionSpecs>(spec: CommandSpec<Specs>): Command {
  return {
    name: spec.name,
    async execute(args, context) {
      const { help, values, positionals } = parse(spec, args);
      if (help) {
        context.stdout(helpOf(spec));
        return 0;
      }
      return spec.run(values, positionals, context);
    },
  };
}

/** Takes arguments apart by a command's flags. Throws UsageError naming what is wrong. */
export function parse<Specs extends OptionSpecs>(
  spec: CommandSpec<Specs>,
  args: readonly string[],
): { help: boolean; values: Values<Specs>; positionals: readonly string[] } {
  const options = { ...spec.options, help: HELP };
  const { values, positionals } = parseStrictly(spec.name, args, options);
  const complete = Object.entries(spec.options).map(([name, option]) => [
    name,
    values[name] ?? absent(option),
  ]);
  const parsed = {
    help: values['help'] === true,
    values: Object.fromEntries(complete) as Values<Specs>,
    positionals,
  };
  const [min, max] = spec.arity;
  if (!parsed.help && positionals.length < min) {
    throw new UsageError(`${spec.name} needs ${spec.positionals ?? 'an argument'}${seeHelp(spec.name)}`);
  }
  if (!parsed.help && positionals.length > max) {
    throw new UsageError(`${spec.name} does not take "${positionals[max] ?? ''}"${seeHelp(spec.name)}`);
  }
  return parsed;
}

function parseStrictly(command: string, args: readonly string[], options: OptionSpecs) {
  const known = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true });
  } catch (error) {
    const unknown = /^Unknown option '(--?)([^'=]+)/.exec(messageOf(error));
    if (unknown === null)
      throw new UsageError(`${command}: ${firstSentence(messageOf(error))}${seeHelp(command)}`);
    const [, dashes = '', name = ''] = unknown;
    const near = dashes === '--' ? nearest(name, Object.keys(options)) : undefined;
    throw new UsageError(
      `${command} has no option ${dashes}${name}${near === undefined ? seeHelp(command) : ` (did you mean --${near}?)`}`,
    );
  }
}

function absent(option: OptionSpec): unknown {
  if (option.type === 'boolean') return false;
  return option.multiple === true ? [] : undefined;
}

function firstSentence(text: string): string {
  return text.split(/\.\s|\n/, 1)[0] ?? '';
}

function seeHelp(command: string): string {
  return ` (see berth ${command} --help)`;
}

/** The help of one command. */
export function helpOf(spec: CommandSpec<OptionSpecs>): string {
  const flags = Object.entries({ ...spec.options, help: HELP }).map(([name, option]): [string, string] => [
    `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${option.value === undefined ? '' : ` ${option.value}`}`,
    `${option.help}${option.multiple === true ? ' (repeatable)' : ''}`,
  ]);
  const width = Math.max(...flags.map(([flag]) => flag.length));
  const lines = [
    `Usage: berth ${spec.name} [options]${spec.positionals === undefined ? '' : ` ${spec.positionals}`}`,
    '',
    `${spec.summary}.`,
    '',
    'Options:',
    ...flags.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`),
  ];
  if (spec.details !== undefined) lines.push('', spec.details);
  return `${lines.join('\n')}\n`;
}
