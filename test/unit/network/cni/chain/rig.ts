import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CachedAttachment, ResultCache } from '../../../../../src/network/cni/cache.ts';
import { Chain } from '../../../../../src/network/cni/chain.ts';
import type {
  Invoke,
  InvokeOptions,
  PluginReply,
  PluginRequest,
} from '../../../../../src/network/cni/invoke/invoke.ts';
import type { Attachment, NetworkList, PluginConf } from '../../../../../src/network/cni/types.ts';

/** Aborts never. */
export const signal = new AbortController().signal;

type Behaviour = (request: PluginRequest, options: InvokeOptions) => unknown;

/** Plugins by type as functions; keeps every request. */
export class RecordingInvoke implements Invoke {
  readonly requests: PluginRequest[] = [];
  readonly behaviours: Record<string, Behaviour> = {};

  async invoke(request: PluginRequest, options: InvokeOptions): Promise<PluginReply> {
    this.requests.push(structuredClone({ ...request, hints: request.hints ?? {} }));
    const output = await this.behaviours[request.type]?.(request, options);
    return { output, provider: `/bin/${request.type}`, stderr: '' };
  }

  get calls(): string[] {
    return this.requests.map(({ verb, type }) => `${verb} ${type}`);
  }
}

export function network(plugins: PluginConf[], changes: Partial<NetworkList> = {}): NetworkList {
  const list = {
    name: 'net',
    cniVersion: '1.1.0',
    disableCheck: false,
    disableGC: false,
    plugins,
    source: '',
    ...changes,
  };
  const text = JSON.stringify({ name: list.name, cniVersion: list.cniVersion, plugins });
  return { text, ...list };
}

export function attachment(list: NetworkList, changes: Partial<Attachment> = {}): Attachment {
  return {
    network: list,
    containerId: 'c1',
    netns: '/run/netns/n',
    ifName: 'eth0',
    args: [['A', '1']],
    capabilityArgs: {},
    ...changes,
  };
}

export const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/n' }],
  ips: [{ interface: 0, address: '10.0.0.2/24' }],
};

/** A list of bridge and portmap. */
export function both(changes: Partial<NetworkList> = {}): NetworkList {
  return network(
    [
      { type: 'bridge', mtu: 1400 },
      { type: 'portmap', capabilities: { portMappings: true, mac: false } },
    ],
    changes,
  );
}

/** A chain whose plugins are functions, with a cache of its own; new for each test of the describe that it is made in. */
export class ChainRig {
  dir = '';
  invoke = new RecordingInvoke();
  cache = new ResultCache('');
  chain = new Chain({ invoke: this.invoke, cache: this.cache, binDirs: [] });

  /** Registers with mocha, within the describe that is being defined. */
  constructor() {
    beforeEach(async () => {
      this.dir = await mkdtemp(join(tmpdir(), 'brt-chain-'));
      this.invoke = new RecordingInvoke();
      this.invoke.behaviours['bridge'] = ({ verb }) => (verb === 'ADD' ? RESULT : undefined);
      this.invoke.behaviours['portmap'] = ({ verb, config }) =>
        verb === 'ADD' ? config['prevResult'] : undefined;
      this.cache = new ResultCache(this.dir);
      const binDirs = ['/opt/cni/bin', '/usr/lib/cni'];
      this.chain = new Chain({ invoke: this.invoke, cache: this.cache, binDirs });
    });
    afterEach(() => rm(this.dir, { recursive: true }));
  }

  /** What the cache has of the usual attachment. */
  cached(): Promise<CachedAttachment | undefined> {
    return this.cache.read({ network: 'net', containerId: 'c1', ifName: 'eth0' });
  }
}
