// From a fresh clone to a pod with an IP: node .ci/quickstart.mjs [--keep]
// Starts a daemon on a temporary directory, runs one pod, shows how it got its address, pings it, and takes all of it
// away again. --keep leaves everything running until Ctrl-C, to be tried out by hand.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { bootstrap } from './bootstrap.mjs';
import { isRoot, root } from './lib.mjs';
import { writeTinyImage } from './tiny-image.mjs';

const START_MS = 30_000;
const berth = join(root, 'dist/main.js');
const bridge = 'berth-quick';
const image = 'berth.local/hello:1';
// Of our own, so that it can be taken away again.
const cgroup = `/berth-quickstart-${process.pid}`;

const home = join(tmpdir(), `berth-quickstart-${process.pid}`);
const at = (name) => join(home, name);
const socket = at('berth.sock');
// The command line finds the daemon by it.
process.env.BERTH_ADDRESS = socket;

/** What wants this to end: a Ctrl-C, a terminal that was closed. What was made is taken away then, too. */
const ENDS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
let endedBy;

/** Signals are told between the commands, which are waited for without the event loop. */
async function step(text) {
  await setImmediate();
  if (endedBy !== undefined) throw new Error(`ended by ${endedBy}`);
  console.log(process.stdout.isTTY ? `\n\x1b[1m${text}\x1b[0m` : `\n${text}`);
}

/** Prints a command line, runs it, and returns what it wrote. */
function show(command, args, as = [command, ...args].join(' ')) {
  console.log(`$ ${as}`);
  const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  process.stdout.write(output);
  return output.trim();
}

function cli(...args) {
  return show(process.execPath, [berth, ...args], `berth ${args.join(' ')}`);
}

function json(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '' ? JSON.parse(stdout) : undefined;
}

/** The first private /16, from the default network's on, that no route of this machine touches. */
function freeSubnet() {
  const taken = (json('ip', '-json', '-4', 'route', 'show', 'table', 'all') ?? []).map(({ dst }) => dst);
  const all = [...numbers(88, 255).map((n) => `10.${n}.0.0`), ...numbers(16, 31).map((n) => `172.${n}.0.0`)];
  const free = all.find((network) => !taken.some((dst) => overlaps(network, dst)));
  if (free === undefined) throw new Error('every 10.x.0.0/16 and 172.x.0.0/16 is in use on this machine');
  return `${free}/16`;
}

function numbers(first, last) {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

/** Whether a /16 and what a route leads to have addresses in common. A default route, also one in halves, leads nowhere of its own. */
function overlaps(network, destination) {
  const [address, length = '32'] = destination.split('/');
  const shorter = Math.min(16, Number(length));
  return isIP(address) === 4 && shorter > 1 && bits(network) >>> (32 - shorter) === bits(address) >>> (32 - shorter);
}

function bits(address) {
  return address.split('.').reduce((number, part) => ((number << 8) | Number(part)) >>> 0, 0);
}

/** The default network of config/, with a bridge and reservations of its own. */
function writeFiles() {
  const network = JSON.parse(readFileSync(join(root, 'config/cni/10-berth.conflist'), 'utf8'));
  const [main] = network.plugins;
  main.bridge = bridge;
  main.ipam.ranges = [[{ subnet: freeSubnet() }]];
  main.ipam.dataDir = at('ipam');
  mkdirSync(home, { mode: 0o700 });
  mkdirSync(at('net.d'));
  writeFileSync(at('net.d/10-berth.conflist'), JSON.stringify(network, null, 2));
  writeFileSync(
    at('config.toml'),
    `[grpc]\naddress = "${socket}"\n` +
      `[storage]\nroot = "${at('root')}"\nstate = "${at('state')}"\n` +
      `[cni]\nconf_dir = "${at('net.d')}"\ncache_dir = "${at('cni')}"\nnetns_dir = "${at('netns')}"\n` +
      '[containerd]\naddress = "embedded"\n' +
      '[log]\nformat = "text"\n',
  );
}

function startDaemon() {
  const log = openSync(at('log'), 'a');
  return spawn(process.execPath, [berth, 'serve', '--config', at('config.toml')], {
    stdio: ['ignore', log, log],
    detached: true,
  });
}

async function untilServing(daemon) {
  const deadline = Date.now() + START_MS;
  while (!existsSync(socket)) {
    if (hasEnded(daemon) || Date.now() > deadline) throw new Error('the daemon did not start');
    await sleep(20);
  }
}

/** By itself or by a signal. */
function hasEnded({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null;
}

/** Where containerd's shims and runc keep what they need, whatever the configuration says. */
const SHARED = ['/run/containerd', '/run/runc'];

/** What pods change on the machine beside their own files: to be put back as it was. */
function machineState() {
  const tables = json('nft', '-j', 'list', 'tables')?.nftables.flatMap(({ table }) => table ?? []) ?? [];
  const forwarding = '/proc/sys/net/ipv4/ip_forward';
  return {
    tables: tables.map(({ family, name }) => `${family} ${name}`),
    forwarding,
    forward: readFileSync(forwarding, 'utf8'),
    shared: SHARED.filter((path) => existsSync(path)),
  };
}

function restoreMachine(before) {
  spawnSync('ip', ['link', 'delete', bridge], { stdio: 'ignore' });
  for (const table of machineState().tables.filter((name) => !before.tables.includes(name))) {
    const [family, name] = table.split(' ');
    const rules = json('nft', '-j', 'list', 'table', family, name)?.nftables.filter(
      (object) => 'rule' in object,
    );
    if (rules?.length === 0) spawnSync('nft', ['delete', 'table', family, name]);
  }
  writeFileSync(before.forwarding, before.forward);
  for (const path of SHARED.filter((each) => !before.shared.includes(each))) rmSync(path, { recursive: true, force: true });
  removeCgroups();
}

/** In each hierarchy of cgroup v1, or the one of v2. */
function removeCgroups() {
  const top = '/sys/fs/cgroup';
  const hierarchies = ['', ...readdirSync(top)].map((name) => join(top, name, cgroup));
  for (const path of hierarchies.filter((name) => existsSync(name))) rmdirSync(path);
}

async function end(daemon) {
  if (daemon === undefined || hasEnded(daemon)) return;
  spawnSync(process.execPath, [berth, 'pod', 'rm', '--force', '--all'], { stdio: 'ignore' });
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
}

/** What a daemon that crashed left mounted, deepest first, and then all files. */
function removeHome() {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const ours = mounts.map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(`${home}/`));
  for (const path of ours.reverse()) spawnSync('umount', ['--lazy', path]);
  rmSync(home, { recursive: true, force: true });
}

async function tour(keep) {
  const before = machineState();
  let daemon;
  try {
    await step('1. A daemon on a temporary directory');
    writeFiles();
    daemon = startDaemon();
    await untilServing(daemon);
    console.log(`serving the CRI on ${socket}`);
    cli('net', 'show');
    await step('2. A pod');
    const id = cli('pod', 'run', '--name', 'hello', '--log-directory', at('logs'), '--cgroup-parent', cgroup);
    const { status } = json(process.execPath, berth, 'pod', 'inspect', id, '--json');
    await step('3. Its PodSandboxStatus');
    console.log(JSON.stringify(status, null, 2));
    await step('4. The steps that gave it its address');
    cli('net', 'explain', 'default/hello');
    await step(`5. The host reaches it: ${status.network.ip}`);
    show('ping', ['-c', '3', '-i', '0.2', '-W', '2', status.network.ip]);
    await step('6. A container in it');
    await runContainer(id);
    if (keep) await untilInterrupted();
    await step('7. And away with it');
    cli('pod', 'rm', '--force', 'default/hello');
  } catch (error) {
    if (existsSync(at('log')))
      console.error(`\nwhat the daemon said:\n${readFileSync(at('log'), 'utf8').slice(-4000)}`);
    throw error;
  } finally {
    await end(daemon);
    restoreMachine(before);
    removeHome();
  }
  console.log('\nEverything that this created is gone again. Next: README.md.');
}

/** Loads an image of a busybox, runs it in the pod, and shows what it logged: the pod's address from inside. */
async function runContainer(podSandboxId) {
  mkdirSync(at('image'));
  const archive = writeTinyImage(at('image'), image);
  show('ctr', ['-a', at('state/containerd/containerd.sock'), '-n', 'k8s.io', 'images', 'import', archive]);
  const { loadCri } = await import(join(root, 'dist/lib/proto.js'));
  const { credentials } = await import('@grpc/grpc-js');
  const { RuntimeService } = loadCri();
  const runtime = new RuntimeService(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
  });
  const call = (method, request) =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + 30_000;
      runtime[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  const { status } = await call('podSandboxStatus', { podSandboxId });
  const sandboxConfig = { metadata: status.metadata, logDirectory: at('logs') };
  const script = 'echo "hello from $(busybox hostname)"; busybox ip -4 -o addr show eth0';
  const config = {
    metadata: { name: 'hello' },
    image: { image },
    command: ['/bin/sh', '-c', script],
    logPath: 'hello.log',
    linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } },
  };
  const { containerId } = await call('createContainer', { podSandboxId, config, sandboxConfig });
  await call('startContainer', { containerId });
  for (let ended = false; !ended; await sleep(50)) {
    const answer = await call('containerStatus', { containerId });
    ended = answer.status.state === 'CONTAINER_EXITED';
  }
  runtime.close();
  show('cat', [at('logs/hello.log')]);
}

async function untilInterrupted() {
  await step('Still serving. In another terminal:');
  console.log(`  export BERTH_ADDRESS=${socket}`);
  console.log(`  ${berth} pod run --name another && ${berth} pod ps`);
  console.log(`  crictl --runtime-endpoint unix://${socket} pods`);
  console.log('Ctrl-C ends it.');
  const hold = setInterval(() => {}, 60_000);
  await Promise.race(ENDS.map((signal) => once(process, signal)));
  clearInterval(hold);
  endedBy = undefined;
}

if (!isRoot) throw new Error('the quickstart makes network namespaces and a bridge: run it as root');
await bootstrap('quickstart');
// Ctrl-C ends the command that runs at that moment as well; what follows is the clean-up.
for (const signal of ENDS) process.on(signal, () => (endedBy = signal));
// Of a closed terminal, which must not keep the clean-up from being done.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  await tour(process.argv.includes('--keep'));
} catch (error) {
  console.error(`the quickstart failed: ${error.message}`);
  process.exitCode = 1;
}
