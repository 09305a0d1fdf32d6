import { invalid } from '../lib/errors.ts';
import type { ContainerdConfig, RuntimeHandler } from './schema.ts';

type Handlers = Pick<ContainerdConfig, 'runtimes' | 'defaultRuntime'>;

/** The name of a runtime handler as a RuntimeClass gives it; pods without one, '', get the default. */
export function handlerNameOf({ defaultRuntime }: Handlers, name: string): string {
  return name === '' ? defaultRuntime : name;
}

/** What is configured for a handler, '' for the default; undefined when there is none of that name. */
export function runtimeHandlerOf(handlers: Handlers, name: string): RuntimeHandler | undefined {
  return handlers.runtimes.get(handlerNameOf(handlers, name));
}

/** As runtimeHandlerOf. Throws INVALID_ARGUMENT, for the request's field, when there is none of that name. */
export function requireRuntimeHandler(
  handlers: Handlers,
  name: string,
  field = 'runtime_handler',
): RuntimeHandler {
  const found = runtimeHandlerOf(handlers, name);
  if (found !== undefined) return found;
  const shown = handlerNameOf(handlers, name).slice(0, 128);
  const known = [...handlers.runtimes.keys()].join(', ');
  throw invalid(field, `no runtime for "${shown}" is configured; there is ${known}`);
}

/** Whether a runtime type is of the shim that runs runc and its like. */
export function isRunc(runtimeType: string): boolean {
  return runtimeType.startsWith('io.containerd.runc.');
}
