import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import { createLogger } from '../../../../src/lib/log.ts';
import { containerCgroupPath } from '../../../../src/pod/stats/cgroup/paths.ts';
import { type CgroupTrees, controllers, findCgroupTrees } from '../../../../src/pod/stats/cgroup/trees.ts';
import type { InterfaceReading } from '../../../../src/pod/stats/interfaces.ts';
import type { Metric } from '../../../../src/pod/stats/metrics/metrics.ts';
import { StatsReader, statsJobsModule } from '../../../../src/pod/stats/reader.ts';
import type { MeasuredContainer, MeasuredSandbox, StatsSource } from '../../../../src/pod/stats/source.ts';
import { Stats } from '../../../../src/pod/stats/stats.ts';
import { TestNetns } from '../../../helpers/netns.ts';

const log = createLogger({ level: 'fatal', format: 'json' });

/** Keeps 64 MiB, a socket and a CPU; says `ready` once the memory is touched. */
const BUSY = `
  const kept = Buffer.alloc(64 << 20, 1);
  require('node:net').createServer().listen(0, '127.0.0.1', () => {
    process.stdout.write('ready');
    const spin = () => { const end = Date.now() + 20; while (Date.now() < end) kept[0]++; setImmediate(spin); };
    spin();
  });
`;

/** Has the cgroups below one of a v2 tree have its controllers. */
function passOn(cgroup: string): void {
  const file = join(cgroup, 'cgroup.subtree_control');
  if (!existsSync(file)) return;
  const names = readFileSync(join(cgroup, 'cgroup.controllers'), 'utf8').match(/\w+/g) ?? [];
  writeFileSync(file, names.map((name) => `+${name}`).join(' '));
}

/** A cgroup in every hierarchy that has one of the controllers, and the processes put into it. */
class RealCgroup {
  readonly path: string;
  readonly #directories: string[];
  readonly #processes: ChildProcess[] = [];

  constructor(trees: CgroupTrees, path: string) {
    this.path = path;
    this.#directories = [...new Set(controllers.flatMap((name) => trees[name]?.root ?? []))].map((root) =>
      join(root, path),
    );
    for (const directory of this.#directories) {
      mkdirSync(directory, { recursive: true });
      passOn(dirname(directory));
    }
  }

  /** Runs a script of Node in it, from its first instruction on. */
  async run(script: string): Promise<void> {
    const child = spawn(process.execPath, ['-e', `process.stdin.once('data', () => { ${script} })`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#processes.push(child);
    for (const directory of this.#directories) {
      writeFileSync(join(directory, 'cgroup.procs'), String(child.pid));
    }
    child.stdin.write('go\n');
    await once(child.stdout, 'data');
  }

  async end(): Promise<void> {
    for (const child of this.#processes.splice(0)) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    for (const directory of this.#directories) rmdirSync(directory);
  }
}

/** A container of runc that sleeps, from the root file system that its bundle directory is. */
class RuncContainer implements Disposable {
  readonly cgroupsPath: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'berth-runc-'));
  readonly #id = `berth-test-${randomBytes(4).toString('hex')}`;

  constructor(cgroupsPath: string) {
    this.cgroupsPath = cgroupsPath;
    mkdirSync(join(this.#directory, 'rootfs/bin'), { recursive: true });
    mkdirSync(join(this.#directory, 'rootfs/proc'));
    copyFileSync('/bin/busybox', join(this.#directory, 'rootfs/bin/busybox'));
    writeFileSync(join(this.#directory, 'config.json'), JSON.stringify(this.#spec()));
    this.#runc('run', '--detach', '--bundle', this.#directory, this.#id);
  }

  [Symbol.dispose](): void {
    this.#runc('delete', '--force', this.#id);
    rmSync(this.#directory, { recursive: true });
  }

  #runc(...args: string[]): void {
    execFileSync('runc', ['--root', join(this.#directory, 'state'), ...args], { stdio: 'ignore' });
  }

  #spec(): object {
    return {
      ociVersion: '1.0.2',
      process: {
        user: { uid: 0, gid: 0 },
        args: ['/bin/busybox', 'sleep', '600'],
        cwd: '/',
        rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 123 }],
      },
      root: { path: 'rootfs' },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      linux: {
        cgroupsPath: this.cgroupsPath,
        resources: {
          memory: { limit: 64 << 20 },
          cpu: { quota: 50_000, period: 100_000, shares: 512 },
          pids: { limit: 20 },
        },
        namespaces: [{ type: 'pid' }, { type: 'mount' }],
      },
    };
  }
}

class TestSource implements StatsSource {
  list: MeasuredContainer[] = [];
  pods: MeasuredSandbox[] = [];

  containers(): readonly MeasuredContainer[] {
    return this.list;
  }

  sandboxes(): readonly MeasuredSandbox[] {
    return this.pods;
  }

  told(): ReturnType<StatsSource['told']> {
    return Promise.resolve(new Map());
  }

  writtenLayer(): Promise<{ bytes: number; inodes: number }> {
    return Promise.resolve({ bytes: 12_345, inodes: 6 });
  }
}

describe('statistics on the real kernel', () => {
  const trees = findCgroupTrees();
  const pod = `/berth-test-${randomBytes(4).toString('hex')}`;
  let pool: ThreadPool;
  let netns: TestNetns;
  let podCgroup: RealCgroup;
  let busy: RealCgroup;
  let source: TestSource;
  let stats: Stats;

  before(async () => {
    pool = new ThreadPool({ name: 'stats', size: 1, modules: [statsJobsModule] });
    netns = new TestNetns();
    podCgroup = new RealCgroup(trees, pod);
    busy = new RealCgroup(trees, `${pod}/c1`);
    await busy.run(BUSY);
    source = new TestSource();
    const labels = { labels: {}, annotations: {} };
    source.list = ['c1', 'vanished'].map((id) => ({
      id,
      sandboxId: 'pod1',
      metadata: { name: id, attempt: 0 },
      ...labels,
      image: 'image',
      running: true,
      cgroupsPath: `${pod}/${id}`,
      startedAt: BigInt(Date.now()) * 1_000_000n,
      toldByShim: false,
      snapshotDirectory: process.cwd(),
    }));
    const metadata = { name: 'web', namespace: 'shop', uid: 'u', attempt: 0 };
    source.pods = [{ id: 'pod1', metadata, ...labels, ready: true, cgroupParent: pod, netns: netns.path }];
    stats = new Stats({ source, reader: new StatsReader(pool), log });
  });
  after(async () => {
    stats.stop();
    await pool.stop();
    await busy.end();
    await podCgroup.end();
    netns[Symbol.dispose]();
  });

  it('show the CPU time, memory and processes of a busy container', async () => {
    const before = await stats.container('c1');
    await wait(1_600);
    const after = await stats.container('c1');
    const { cpu, memory, processes } = after.reading;
    assert.ok(cpu !== undefined && memory !== undefined && before.reading.cpu !== undefined);
    assert.ok(cpu.usageNanos > before.reading.cpu.usageNanos);
    assert.equal(before.nanoCores, undefined);
    assert.ok(after.nanoCores !== undefined, 'no rate after a period');
    // It shares the machine with others: more than a tenth of a CPU, and no more than it has threads.
    assert.ok(after.nanoCores > 100_000_000n, `${after.nanoCores} of a billion`);
    assert.ok(after.nanoCores < 8_000_000_000n);
    assert.ok(memory.rss > 64n << 20n, `rss is ${memory.rss}`);
    assert.ok(memory.workingSet >= memory.rss / 2n);
    assert.ok(memory.pageFaults > 0n);
    assert.equal(memory.limit, undefined);
    assert.equal(processes?.processes, 1n);
    assert.equal(after.layer?.bytes, 12_345);
  });

  it('leave out a container that has vanished', async () => {
    const seen: string[] = [];
    for await (const batch of stats.containers()) seen.push(...batch.map((usage) => usage.container.id));
    assert.deepEqual(seen, ['c1']);
  });

  it('have the pod use at least what its containers use', async () => {
    const usage = await stats.sandbox('pod1');
    const [own] = usage.containers;
    assert.equal(usage.containers.length, 1);
    assert.ok((usage.reading.memory?.usage ?? 0n) >= (own?.reading.memory?.rss ?? 1n));
    assert.ok((usage.reading.cpu?.usageNanos ?? 0n) > 0n);
    assert.equal(usage.reading.processes?.processes, 1n);
  });

  it('count the traffic of the pod in its own namespace, as ip(8) does', async () => {
    // Otherwise the kernel goes on sending on its own while we look.
    netns.enter(() => writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1'));
    netns.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'net1');
    for (const [name, address] of [
      ['eth0', '192.0.2.1/24'],
      ['net1', '198.51.100.1/24'],
    ] as const) {
      netns.ip('addr', 'add', address, 'dev', name);
      netns.ip('link', 'set', name, 'up');
    }
    netns.ip('link', 'set', 'lo', 'up');
    netns.ip('neigh', 'add', '192.0.2.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'eth0');
    netns.run(process.execPath, '-e', SEND_TEN);
    const { interfaces = [] } = await stats.sandbox('pod1');
    assert.deepEqual(interfaces.map(({ name }) => name).sort(), ['eth0', 'net1']);
    const eth0 = interfaces.find(({ name }) => name === 'eth0');
    assert.ok(eth0 !== undefined);
    assert.ok(eth0.txPackets >= 10n, `sent ${eth0.txPackets}`);
    assert.ok(eth0.txBytes >= 10n * 1_000n);
    assert.deepEqual(counters(eth0), counters(countersOfIp(netns, 'eth0')));
  });

  it('have no network once the namespace is gone, and everything else still', async () => {
    const [kept] = source.pods;
    assert.ok(kept !== undefined);
    source.pods = [{ ...kept, netns: `${netns.path}-gone` }];
    const usage = await stats.sandbox('pod1');
    source.pods = [kept];
    assert.equal(usage.interfaces, undefined);
    assert.ok(usage.reading.cpu !== undefined);
  });

  it('have real values for metrics', async () => {
    const all: Metric[] = [];
    for await (const pods of stats.metrics()) {
      for (const { metrics, containers } of pods) {
        assert.deepEqual(
          containers.map(({ containerId }) => containerId),
          ['c1'],
        );
        all.push(...metrics, ...containers.flatMap((each) => each.metrics));
      }
    }
    const value = (name: string): bigint => all.find((metric) => metric.name === name)?.value ?? -1n;
    assert.equal(value('container_processes'), 1n);
    assert.ok(value('container_threads') > 1n);
    assert.ok(value('container_sockets') >= 1n);
    assert.ok(value('container_file_descriptors') > value('container_sockets'));
    assert.ok(value('container_memory_usage_bytes') > 64n << 20n);
    assert.ok(value('container_memory_max_usage_bytes') >= 64n << 20n);
    assert.ok(value('container_fs_limit_bytes') > 0n);
    assert.ok(value('container_spec_cpu_shares') >= 2n);
    assert.ok(value('container_last_seen') >= BigInt(Math.floor(Date.now() / 1_000)) - 5n);
    assert.ok(value('container_network_transmit_packets_total') >= 0n);
    const limits = all.filter(({ name }) => name === 'container_ulimits_soft');
    assert.ok(limits.some(({ labelValues }) => labelValues.at(-1) === 'max_open_files'));
  });

  it('of 500 containers do not hold up the thread that answers', async () => {
    const [one] = source.list;
    assert.ok(one !== undefined);
    const many = new TestSource();
    many.list = Array.from({ length: 500 }, (_, i) => ({ ...one, id: `many${i}` }));
    const crowd = new Stats({ source: many, reader: new StatsReader(pool), log });
    let count = 0;
    /** What else this thread could do meanwhile. */
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    turn();
    for await (const batch of crowd.containers()) count += batch.length;
    isOver = true;
    crowd.stop();
    assert.equal(count, 500);
    assert.ok(turns > count, `${turns} turns`);
  });

  it('have CPU time and pressure from a v2 hierarchy', async function () {
    const tree = trees.pressure;
    if (tree === undefined || !existsSync('/proc/pressure')) this.skip();
    const reader = new StatsReader(pool, { cpuacct: tree, pressure: tree });
    const [reading, gone] = await reader.cgroups([`${pod}/c1`, `${pod}/none`], ['cpu', 'pressure']);
    assert.ok((reading?.cpu?.usageNanos ?? 0n) > 0n);
    const { some } = reading?.pressure?.cpu ?? {};
    assert.ok(some !== undefined && some.totalNanos >= 0n && some.avg10 >= 0);
    assert.equal(gone?.cpu, undefined);
    assert.equal(gone?.pressure, undefined);
  });

  it("find a container's cgroup where runc makes it, with its limits", async () => {
    using container = new RuncContainer(`${pod}-runc`);
    const reader = new StatsReader(pool);
    const [reading] = await reader.cgroups(
      [containerCgroupPath(container.cgroupsPath)],
      ['cpu', 'cpuDetails', 'memory', 'processes', 'processDetails'],
    );
    assert.ok(reading?.cpu !== undefined && reading.memory !== undefined);
    assert.equal(reading.memory.limit, 64n << 20n);
    assert.ok(reading.memory.workingSet < 64n << 20n);
    assert.equal(reading.cpuDetails?.quotaMicros, 50_000n);
    assert.equal(reading.cpuDetails.periodMicros, 100_000n);
    // A v2 tree has weights: one of them stands for some 26 shares.
    const { shares = 0n } = reading.cpuDetails;
    assert.ok(shares >= 486n && shares <= 512n, `${shares}`);
    assert.equal(reading.processes?.processes, 1n);
    assert.equal(reading.processDetails?.threadsMax, 20n);
    const openFiles = reading.processDetails.softLimits.find(({ name }) => name === 'max_open_files');
    assert.equal(openFiles?.value, 123n);
  });

  it('find the device of a file system', async () => {
    const reader = new StatsReader(pool);
    const here = await reader.filesystem(dirname(process.execPath));
    assert.ok(here !== undefined && here.bytes > 0n && here.inodes >= here.inodesFree);
    assert.notEqual(here.device, '');
    assert.equal(await reader.filesystem('/no/such/directory'), undefined);
  });

  it('end with the signal of the caller', async () => {
    await assert.rejects(
      stats.container('c1', { signal: AbortSignal.abort(new Error('gone away')) }),
      /gone away/,
    );
  });
});

const SEND_TEN = `
  const socket = require('node:dgram').createSocket('udp4');
  let left = 10;
  const next = () => left-- > 0 ? socket.send(Buffer.alloc(1000), 9, '192.0.2.9', next) : socket.close();
  next();
`;

function counters({ name, ...rest }: InterfaceReading): Record<string, bigint> {
  assert.equal(name, 'eth0');
  return rest;
}

function countersOfIp(netns: TestNetns, name: string): InterfaceReading {
  const [link] = netns.ip('-s', 'link', 'show', 'dev', name);
  const { rx, tx } = link?.['stats64'] as Record<'rx' | 'tx', Record<string, number>>;
  const of = (side: Record<string, number>, counter: string): bigint => BigInt(side[counter] ?? -1);
  return {
    name,
    rxBytes: of(rx, 'bytes'),
    rxPackets: of(rx, 'packets'),
    rxErrors: of(rx, 'errors'),
    rxDropped: of(rx, 'dropped'),
    txBytes: of(tx, 'bytes'),
    txPackets: of(tx, 'packets'),
    txErrors: of(tx, 'errors'),
    txDropped: of(tx, 'dropped'),
  };
}
