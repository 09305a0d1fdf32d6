import { posix } from 'node:path';
import type { ContainerConfig__Output } from '../gen/runtime/v1/ContainerConfig.ts';
import { invalid } from '../lib/errors.ts';
import { absolutePath, program, text } from './fields.ts';
import type { ImageConfig } from './image-config.ts';
import { type SpecInput, securityOf, withProcessPart } from './input.ts';
import type { RuntimeSpec } from './types.ts';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is run, with which environment, and where. */
export function withProcess(spec: RuntimeSpec, input: SpecInput): RuntimeSpec {
  const { config, image } = input;
  return withProcessPart(spec, {
    args: processArgs(config, image),
    env: environment(spec.process.env, input),
    cwd: workingDirectory(config, image),
    ...(config.tty ? { terminal: true } : {}),
    ...(securityOf(config).noNewPrivs ? { noNewPrivileges: true } : {}),
  });
}

/** A command replaces the image's entrypoint and cmd, args alone only its cmd. */
function processArgs({ command, args }: ContainerConfig__Output, image: ImageConfig): string[] {
  command.forEach((word, i) => text(`config.command[${i}]`, word));
  args.forEach((word, i) => text(`config.args[${i}]`, word));
  const [own] = command;
  if (own !== undefined) {
    program('config.command[0]', own);
    return [...command, ...args];
  }
  // Builders write [""] for an entrypoint that was taken away.
  const entrypoint = image.entrypoint.length === 1 && image.entrypoint[0] === '' ? [] : image.entrypoint;
  const words = [...entrypoint, ...(args.length > 0 ? args : image.cmd)];
  const [first] = words;
  if (first === undefined) throw invalid('config.command', 'no command specified, nor has the image one');
  program(entrypoint.length === 0 && args.length > 0 ? 'config.args[0]' : 'command of the image', first);
  return words;
}

/** Each name once: config over image over HOSTNAME, TERM and PATH over what the spec begins with. */
function environment(begun: readonly string[], { config, image, sandbox, host }: SpecInput): string[] {
  const hostname = sandbox.config.hostname === '' ? host.hostname() : sandbox.config.hostname;
  const variables = new Map<string, string>();
  const set = (variable: string): void => {
    variables.set(variable.slice(0, variable.indexOf('=')), variable);
  };
  begun.forEach(set);
  set(DEFAULT_PATH);
  if (config.tty) set('TERM=xterm');
  set(`HOSTNAME=${hostname}`);
  for (const variable of image.env) {
    // A name alone takes a default away.
    if (variable.includes('=')) set(variable);
    else variables.delete(variable);
  }
  for (const [i, { key, value }] of config.envs.entries()) {
    const field = `config.envs[${i}]`;
    if (key === '' || key.includes('='))
      throw invalid(`${field}.key`, `${JSON.stringify(key)} is not a name`);
    set(`${text(`${field}.key`, key)}=${text(`${field}.value`, value)}`);
  }
  return [...variables.values()];
}

function workingDirectory({ workingDir }: ContainerConfig__Output, image: ImageConfig): string {
  if (workingDir !== '') return absolutePath('config.working_dir', workingDir);
  return posix.join('/', image.workingDir);
}
