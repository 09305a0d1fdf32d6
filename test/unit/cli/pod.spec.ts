import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answers, CriPeer, Refusal } from '../../fakes/cri-peer.ts';
import { berth } from './run-cli.ts';

const NOW = BigInt(Date.now()) * 1_000_000n;
const WEB = `aaaa1111${'0'.repeat(56)}`;
const OLD_WEB = `aaaa2222${'0'.repeat(56)}`;
const API = `bbbb3333${'0'.repeat(56)}`;

function pod(id: string, name: string, state: string, ageSeconds: number, attempt = 0) {
  return {
    id,
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, attempt },
    state,
    createdAt: String(NOW - BigInt(ageSeconds) * 1_000_000_000n),
    labels: { app: name, marker: '' },
    annotations: {},
    runtimeHandler: '',
  };
}

const pods = [
  pod(OLD_WEB, 'web', 'SANDBOX_NOTREADY', 216_000),
  pod(API, 'api', 'SANDBOX_NOTREADY', 150),
  pod(WEB, 'web', 'SANDBOX_READY', 5400, 1),
];

const answers: Answers = {
  ListPodSandbox: () => ({ items: pods }),
  PodSandboxStatus: ({ podSandboxId }) => ({
    status: {
      ...pods.find(({ id }) => id === podSandboxId),
      network: podSandboxId === WEB ? { ip: '10.88.0.5', additionalIps: [{ ip: 'fd00::5' }] } : { ip: '' },
      linux: { namespaces: { options: { network: 'POD', pid: 'CONTAINER' } } },
    },
    info: { info: '{"pid":0}', note: 'no JSON' },
  }),
  StopPodSandbox: () => ({}),
  RemovePodSandbox: () => ({}),
  RunPodSandbox: () => ({ podSandboxId: WEB }),
};

describe('berth pod', () => {
  let peer: CriPeer;

  async function start(more: Answers = {}): Promise<void> {
    peer = await CriPeer.start({ ...answers, ...more });
  }

  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
  });

  function pod_(...args: string[]) {
    return berth(['pod', ...args, '--address', peer.address]);
  }

  it('ps is a table with IPs, the newest first', async () => {
    await start();
    const { code, stdout, stderr } = await pod_('ps');
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
      [
        ['POD', 'NAMESPACE', 'NAME', 'STATE', 'IP', 'AGE', 'ATTEMPT', 'HANDLER'],
        [API.slice(0, 13), 'shop', 'api', 'NOTREADY', '2 min', '0'],
        [WEB.slice(0, 13), 'shop', 'web', 'READY', '10.88.0.5', '1 h', '1'],
        [OLD_WEB.slice(0, 13), 'shop', 'web', 'NOTREADY', '2 d', '0'],
      ],
    );
  });

  it('ps --json is the answer of ListPodSandbox', async () => {
    await start();
    const { stdout } = await pod_('ps', '--json');
    assert.deepEqual(JSON.parse(stdout), { items: [pods[1], pods[2], pods[0]] });
    assert.deepEqual(peer.methods, ['ListPodSandbox']);
  });

  it('ps passes filters on, and filters namespaces itself', async () => {
    await start();
    const { stdout } = await pod_('ps', '-q', '-l', 'app=web', '--state', 'READY');
    assert.equal(stdout, `${API}\n${WEB}\n${OLD_WEB}\n`);
    assert.deepEqual(peer.requests[0]?.request['filter'], {
      id: '',
      state: { state: 'SANDBOX_READY' },
      labelSelector: { app: 'web' },
    });
    assert.equal((await pod_('ps', '-q', '-n', 'other')).stdout, '');
  });

  it('ps shows a pod that goes while it looks', async () => {
    await start({
      PodSandboxStatus: () => {
        throw new Refusal('NOT_FOUND', 'gone');
      },
    });
    const { code, stdout } = await pod_('ps');
    assert.equal(code, 0);
    assert.match(stdout, /shop +web +READY +1 h/);
  });

  it('inspect finds a pod by name: the ready one', async () => {
    await start();
    const { code, stdout } = await pod_('inspect', 'shop/web');
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^ID: +${WEB}\n`));
    assert.match(stdout, /\nIP: +10\.88\.0\.5\nMore IPs: +fd00::5\n/);
    assert.match(stdout, /\nLabels:\n {2}app: {4}web\n {2}marker:\n$/);
  });

  it('inspect --json has the status and the parsed info, as crictl inspectp', async () => {
    await start();
    const shown = JSON.parse((await pod_('inspect', 'aaaa1', '--json')).stdout) as Record<
      string,
      Record<string, unknown>
    >;
    assert.equal(shown['status']?.['id'], WEB);
    assert.deepEqual(shown['info'], { pid: 0 });
    assert.equal(shown['note'], 'no JSON');
  });

  it('an id that is unknown, ambiguous or empty is refused', async () => {
    await start();
    assert.deepEqual(await pod_('inspect', 'cccc'), {
      code: 4,
      stdout: '',
      stderr: 'berth: no pod "cccc"\n',
    });
    assert.deepEqual(await pod_('inspect', 'shop/db'), {
      code: 4,
      stdout: '',
      stderr: 'berth: no pod "shop/db"\n',
    });
    assert.equal((await pod_('inspect', '')).code, 4);
    const ambiguous = await pod_('inspect', 'aaaa');
    assert.deepEqual(
      [ambiguous.code, ambiguous.stderr],
      [1, 'berth: "aaaa" is the beginning of 2 pods\' ids\n'],
    );
  });

  it('stop stops each, goes past one that fails, and returns the first failure', async () => {
    await start({
      StopPodSandbox: ({ podSandboxId }) => {
        if (podSandboxId === API) throw new Refusal('UNAVAILABLE', 'the engine\nis away');
        return {};
      },
    });
    const { code, stdout, stderr } = await pod_('stop', 'bbbb', 'nope', 'aaaa1');
    assert.equal(code, 1);
    assert.equal(stdout, `${WEB}\n`);
    assert.equal(
      stderr,
      `berth: failed to stop pod "${API}": the engine is away (UNAVAILABLE)\nberth: no pod "nope"\n`,
    );
  });

  it('rm removes a stopped pod, and a ready one only with --force, which stops it first', async () => {
    await start();
    assert.deepEqual(await pod_('rm', 'shop/api'), { code: 0, stdout: `${API}\n`, stderr: '' });
    const refused = await pod_('rm', 'shop/web');
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.equal(refused.stderr, 'berth: pod "shop/web" is ready: stop it first, or use --force\n');
    peer.requests.length = 0;
    assert.equal((await pod_('rm', '-f', 'shop/web')).code, 0);
    assert.deepEqual(peer.methods, ['ListPodSandbox', 'StopPodSandbox', 'RemovePodSandbox']);
  });

  it('rm --all -f removes all', async () => {
    await start();
    const { code, stdout } = await pod_('rm', '--all', '-f');
    assert.equal(code, 0);
    assert.deepEqual(stdout.trim().split('\n').sort(), [WEB, OLD_WEB, API].sort());
    assert.equal(peer.methods.filter((method) => method === 'StopPodSandbox').length, 1);
  });

  it('run sends what flags and file say and prints the id', async () => {
    await start();
    const dir = mkdtempSync(join(tmpdir(), 'berth-pod-'));
    const file = join(dir, 'pod.json');
    writeFileSync(file, '{"metadata": {"name": "web", "uid": "u"}, "log_directory": "/var/log/web"}');
    try {
      const run = await pod_(
        'run',
        file,
        '-p',
        '127.0.0.1:8080:80/udp',
        '-l',
        'a=b',
        '--handler',
        'kata',
        '-n',
        'shop',
      );
      assert.deepEqual(run, { code: 0, stdout: `${WEB}\n`, stderr: '' });
    } finally {
      rmSync(dir, { recursive: true });
    }
    const { config, runtimeHandler } = peer.requests[0]?.request as {
      config: Record<string, unknown>;
      runtimeHandler: string;
    };
    assert.equal(runtimeHandler, 'kata');
    assert.deepEqual(config['metadata'], { name: 'web', uid: 'u', namespace: 'shop', attempt: 0 });
    assert.equal(config['logDirectory'], '/var/log/web');
    assert.deepEqual(config['portMappings'], [
      { protocol: 'UDP', containerPort: 80, hostPort: 8080, hostIp: '127.0.0.1' },
    ]);
    assert.deepEqual(config['labels'], { a: 'b' });
  });

  it('run passes an error of the daemon on in one line, with its code', async () => {
    await start({
      RunPodSandbox: () => {
        throw new Refusal('INVALID_ARGUMENT', 'invalid config.metadata.name: too long');
      },
    });
    assert.deepEqual(await pod_('run', '--name', 'x'), {
      code: 1,
      stdout: '',
      stderr:
        'berth: failed to run pod "default/x": invalid config.metadata.name: too long (INVALID_ARGUMENT)\n',
    });
  });

  it('run with a file that does not exist returns 4 and calls nobody', async () => {
    await start();
    assert.equal((await pod_('run', '/nonexistent.json')).code, 4);
    assert.deepEqual(peer.requests, []);
  });

  it('gives up at --timeout', async () => {
    await start({ ListPodSandbox: () => undefined });
    const { code, stderr } = await pod_('ps', '--timeout', '0.2');
    assert.equal(code, 1);
    assert.match(stderr, /^berth: failed to list pods: .*\(DEADLINE_EXCEEDED\)\n$/);
  });

  it('ends a call when it is interrupted', async () => {
    const interrupt = new AbortController();
    await start({
      ListPodSandbox: () => {
        interrupt.abort();
        return undefined;
      },
    });
    const { code, stderr } = await berth(['pod', 'ps', '--address', peer.address], {
      signal: interrupt.signal,
    });
    assert.equal(code, 1);
    assert.match(stderr, /\(CANCELLED\)\n$/);
  });

  it('finds the socket by BERTH_ADDRESS and by --config, which wins', async () => {
    await start();
    const env = { BERTH_ADDRESS: `unix://${peer.address}` };
    assert.equal((await berth(['pod', 'ps', '-q'], { env })).code, 0);
    const dir = mkdtempSync(join(tmpdir(), 'berth-pod-'));
    const file = join(dir, 'config.toml');
    writeFileSync(file, `[grpc]\naddress = "${peer.address}"\n`);
    try {
      assert.equal(
        (await berth(['pod', 'ps', '-q', '-c', file], { env: { BERTH_ADDRESS: '/nonexistent' } })).code,
        0,
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('a daemon that is not there', () => {
  it('is exit code 3, for a missing socket and for one that nobody listens on', async () => {
    assert.deepEqual(await berth(['pod', 'ps', '-a', '/nonexistent/berth.sock']), {
      code: 3,
      stdout: '',
      stderr:
        'berth: cannot reach Berth at /nonexistent/berth.sock: nobody listens there; is `berth serve` running?\n',
    });
    const dir = mkdtempSync(join(tmpdir(), 'berth-stale-'));
    const path = join(dir, 'stale.sock');
    writeFileSync(path, '');
    try {
      assert.equal((await berth(['net', 'show', '-a', path])).code, 3);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('and one that hangs up is a failure, not a hang', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'berth-rude-'));
    const path = join(dir, 'rude.sock');
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const { code, stderr } = await berth(['pod', 'ps', '-a', path, '-t', '5']);
      assert.equal(code, 1);
      assert.match(stderr, /^berth: failed to list pods: .*\n$/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
      rmSync(dir, { recursive: true });
    }
  });
});
