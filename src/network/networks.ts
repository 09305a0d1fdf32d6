import { runtimeHandlerOf } from '../config/runtime-handlers.ts';
import type { CniConfig, ContainerdConfig, RuntimeHandler } from '../config/schema.ts';
import { BerthError, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Chain } from './cni/chain.ts';
import { writeFromTemplate } from './cni/configuration/conf-template.ts';
import type { Readiness } from './cni/configuration/readiness.ts';
import type { ActiveNetwork, Snapshot } from './cni/configuration/selection.ts';
import { StatusProber } from './cni/configuration/status-prober.ts';
import { ConfigurationWatcher } from './cni/configuration/watcher.ts';
import type { Hints } from './cni/invoke/invoke.ts';
import type { NetworkList } from './cni/types.ts';

export interface NetworksOptions {
  readonly cni: CniConfig;
  readonly runtimes: ContainerdConfig['runtimes'];
  readonly defaultRuntime: string;
  readonly chain: Chain;
  /** The networks that pods of earlier runs are on, newest pod first. */
  readonly remembered?: () => readonly NetworkList[];
  /** What an ADD on the network must not hand out. */
  readonly withheld: (network: NetworkList) => NonNullable<Hints['withheld']>;
  readonly log: Logger;
}

/** An active network of a directory. */
export interface NetworkInUse extends ActiveNetwork {
  readonly dir: string;
}

/** A configuration directory and how many of its files are used. */
interface Place {
  readonly dir: string;
  readonly maxConfNum: number;
}

/** A place with what is known of its networks. */
interface Source {
  readonly watcher: ConfigurationWatcher;
  readonly prober: StatusProber;
}

/**
 * The networks that pods can be attached to: the configuration directory, and one more for each runtime handler that has
 * its own. Everything here is read from memory; reading directories and asking plugins happens in the background.
 */
export class Networks {
  readonly #options: NetworksOptions;
  readonly #sources = new Map<string, Source>();

  constructor(options: NetworksOptions) {
    this.#options = options;
    for (const handler of [undefined, ...options.runtimes.values()]) {
      const place = this.#placeOf(handler);
      const key = keyOf(place);
      if (!this.#sources.has(key)) this.#sources.set(key, this.#source(place));
    }
  }

  async start(): Promise<void> {
    for (const { watcher, prober } of this.#sources.values()) {
      await watcher.start();
      prober.start();
    }
  }

  stop(): void {
    for (const { watcher, prober } of this.#sources.values()) {
      watcher.stop();
      prober.stop();
    }
  }

  /** The networks of a new pod, in order. Throws UNAVAILABLE, with what is wrong with each file, when there is none. */
  active(runtimeHandler: string): NetworkList[] {
    const { watcher } = this.#of(runtimeHandler);
    const networks = watcher.snapshot.networks.map((active) => active.network);
    if (networks.length > 0) return networks;
    throw new BerthError('UNAVAILABLE', `network is not ready: ${watcher.readiness().message}`);
  }

  /** The networks of all handlers, one of each name. */
  every(): NetworkList[] {
    return this.inUse().map(({ network }) => network);
  }

  /** As every(), with where each comes from. */
  inUse(): NetworkInUse[] {
    const all = [...this.#sources.values()].flatMap(({ watcher }) => {
      const { dir, networks } = watcher.snapshot;
      return networks.map((active) => ({ ...active, dir }));
    });
    return [...new Map(all.map((each) => [each.network.name, each])).values()];
  }

  /** The CRI's NetworkReady: of the default handler's networks, as with containerd. */
  readiness(): Readiness {
    const { watcher, prober } = this.#of('');
    return watcher.readiness(prober.verdict);
  }

  /** Makes a configuration from `conf_template` for the pod CIDRs that kubelet told, unless a network is ready already. */
  async usePodCidrs(cidrs: readonly string[]): Promise<void> {
    const { cni, log } = this.#options;
    if (cni.confTemplate === '') return;
    const { watcher } = this.#of('');
    // A network that was put there a moment ago is one, too.
    await watcher.reload();
    if (watcher.readiness().ready) return;
    const path = await writeFromTemplate(cni.confTemplate, cidrs.join(','), cni.confDir);
    log.info('made a network configuration from the template', { path, podCidrs: cidrs });
    await watcher.reload();
  }

  /** The common networks' configuration under containerd's names, which tools read from verbose Status. */
  cniConfig(): Record<string, unknown> {
    const { cni } = this.#options;
    const { watcher } = this.#of('');
    return {
      PluginDirs: cni.binDirs,
      PluginConfDir: cni.confDir,
      PluginMaxConfNum: cni.maxConfNum,
      Prefix: 'eth',
      Networks: watcher.snapshot.networks.map(({ network }, i) => ({
        Config: { ...(JSON.parse(network.text) as object), Source: network.text },
        IFName: `eth${i}`,
      })),
    };
  }

  /**
   * `OK`, or what is wrong, under containerd's names in verbose Status: for pods without a runtime handler, for the common directory
   * (`.default`) and for each handler with a directory of its own.
   */
  lastLoadStatus(): Record<string, string> {
    const own = [...this.#options.runtimes].filter(([, { cniConfDir }]) => cniConfDir !== '');
    const statuses: Record<string, string> = { lastCNILoadStatus: loadStatusOf(this.#of('')) };
    for (const [name, handler] of [['default', undefined] as const, ...own]) {
      const source = this.#sources.get(keyOf(this.#placeOf(handler)));
      if (source !== undefined) statuses[`lastCNILoadStatus.${name}`] = loadStatusOf(source);
    }
    return statuses;
  }

  /** Each directory with its files' verdicts, its generation and what the plugins said of themselves. */
  info(): unknown {
    return [...this.#sources.values()].map(({ watcher, prober }) => {
      const { networks, ...snapshot } = watcher.snapshot;
      return {
        ...snapshot,
        networks: networks.map(({ file, network, staleSince }) => ({
          file,
          name: network.name,
          cniVersion: network.cniVersion,
          plugins: network.plugins.map((plugin) => plugin.type),
          ...(staleSince === undefined ? {} : { staleSince }),
        })),
        status: prober.verdict,
      };
    });
  }

  #of(runtimeHandler: string): Source {
    const handler = runtimeHandlerOf(this.#options, runtimeHandler);
    const source = this.#sources.get(keyOf(this.#placeOf(handler)));
    if (source === undefined)
      throw new BerthError('INTERNAL', `no network configurations for "${runtimeHandler}"`);
    return source;
  }

  /** A handler's own place, or the common one. */
  #placeOf(handler: RuntimeHandler | undefined): Place {
    const { confDir, maxConfNum } = this.#options.cni;
    if (handler === undefined || handler.cniConfDir === '') return { dir: confDir, maxConfNum };
    return { dir: handler.cniConfDir, maxConfNum: handler.cniMaxConfNum || maxConfNum };
  }

  #source({ dir, maxConfNum }: Place): Source {
    const { chain, log, remembered, withheld } = this.#options;
    const watcher: ConfigurationWatcher = new ConfigurationWatcher({
      dir,
      maxConfNum,
      ...(remembered === undefined ? {} : { remembered }),
      onChange: (snapshot) => {
        report(log, snapshot);
        prober.kick();
      },
    });
    const prober = new StatusProber({
      probe: (network, options) =>
        chain.status(network, { ...options, hints: { withheld: withheld(network) } }),
      networks: () => watcher.snapshot.networks.map((active) => active.network),
      onChange: (verdict) => log.info('network plugins told their status', { dir, ...verdict }),
    });
    return { watcher, prober };
  }
}

function keyOf({ dir, maxConfNum }: Place): string {
  return `${maxConfNum} ${dir}`;
}

function loadStatusOf({ watcher }: Source): string {
  const { ready, message } = watcher.readiness();
  return ready ? 'OK' : message;
}

function report(log: Logger, { dir, generation, verdicts, error }: Snapshot): void {
  const files = verdicts.map(
    ({ file, verdict, reason }) => `${file}: ${verdict}${reason === '' ? '' : ` (${reason})`}`,
  );
  if (error === '') log.info('read network configurations', { dir, generation, files });
  else log.warn('failed to read network configurations', { dir, error: messageOf(error) });
}
