import { DEFAULT_CONFIG_PATH, loadConfig } from '../config/load.ts';
import { aborted } from '../lib/deadline.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import { createLogger } from '../lib/log.ts';
import { defineCommand } from './command.ts';
import { Exit } from './exit.ts';

export const command = defineCommand({
  name: 'serve',
  summary: 'Run the daemon until SIGTERM or SIGINT, which leave the pods running',
  arity: [0, 0],
  options: {
    config: {
      type: 'string',
      short: 'c',
      value: 'FILE',
      help: `the configuration, ${DEFAULT_CONFIG_PATH} by default`,
    },
    'containerd-config': {
      type: 'string',
      value: 'FILE',
      help: "containerd's own configuration: its cni and registry sections and its runtimes fill in where ours is silent",
    },
  },
  async run(values, _positionals, context) {
    const containerdConfigPath = values['containerd-config'];
    const { config, warnings } = loadConfig({
      explicit: values.config !== undefined,
      ...(values.config === undefined ? {} : { path: values.config }),
      ...(containerdConfigPath === undefined ? {} : { containerdConfigPath }),
    });
    const log = createLogger(config.log);
    requireRoot();
    // Of a mistake of ours one pod may suffer, and not all of the node's.
    process.on('unhandledRejection', (error) => {
      log.error('a failure that nobody waited for', { error: messageOf(error), stack: stackOf(error) });
    });
    for (const warning of warnings) log.warn('configuration', { warning });
    // A mistake in the configuration is told before the whole daemon is loaded.
    const { Daemon } = await import('../daemon/daemon.ts');
    const daemon = new Daemon(config, { log });
    context.onInquiry(() => daemon.report());
    try {
      await daemon.start({ signal: context.signal });
      await aborted(context.signal);
    } catch (error) {
      // Who is told to end before it serves has not failed.
      if (error !== context.signal.reason) throw error;
    } finally {
      await daemon.stop();
    }
    return Exit.ok;
  },
});

/** Or else it would be told of the first file that could not be made, and nothing of why. */
function requireRoot(): void {
  const uid = process.geteuid?.();
  if (uid !== 0)
    throw new BerthError(
      'PERMISSION_DENIED',
      `berth serve makes namespaces, links and mounts, and must be run by root: this is uid ${uid}`,
    );
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : '';
}
