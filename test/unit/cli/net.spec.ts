import assert from 'node:assert/strict';
import { delegatesBelow } from '../../../src/cli/net/explain.ts';
import { stringOf } from '../../../src/cli/net/fields.ts';
import { type Answers, CriPeer, Refusal } from '../../fakes/cri-peer.ts';
import { berth } from './run-cli.ts';

const STORY = {
  id: 'a'.repeat(64),
  namespace: 'shop',
  name: 'web',
  uid: 'u1',
  attempt: 0,
  state: 'SANDBOX_READY',
  createdAt: '2026-01-02T03:04:05.000Z',
  network: {
    attachments: [
      { network: 'berth', source: '/etc/cni/net.d/10-berth.conflist', ifName: 'eth0', result: null },
    ],
    ip: {
      ip: '10.88.0.5',
      additionalIps: ['fd00::5'],
      preference: 'ipv4',
      rule: 'addresses on eth0 in the sandbox; ip_pref ipv4 takes the first ipv4 address',
      candidates: [
        {
          address: 'fd00::5/64',
          family: 'ipv6',
          interface: 'eth0',
          verdict: 'additional',
          reason: 'ip_pref prefers ipv4',
        },
        { address: '10.88.0.5/16', family: 'ipv4', interface: 'eth0', verdict: 'primary', reason: 'chosen' },
        {
          address: '10.88.0.1/16',
          family: 'ipv4',
          interface: '',
          verdict: 'rejected',
          reason: 'its interface belongs to the host',
        },
      ],
    },
    timeline: [
      {
        plugin: 'host-local',
        verb: 'ADD',
        provider: 'built-in',
        delegatedBy: 'bridge',
        startedAt: '2026-01-02T03:04:05.010Z',
        durationMs: 0.734,
        config: {},
      },
      {
        plugin: 'bridge',
        verb: 'ADD',
        provider: 'built-in',
        startedAt: '2026-01-02T03:04:05.001Z',
        durationMs: 3.04,
        config: { type: 'bridge', token: '***' },
      },
      {
        plugin: 'tuning',
        verb: 'ADD',
        provider: '/opt/cni/bin/tuning',
        startedAt: '2026-01-02T03:04:05.020Z',
        durationMs: 2500,
        config: {},
        error: 'no such sysctl\u001b[2J',
        code: 7,
        stderr: 'first\nsecond\n',
      },
    ],
  },
};

const DEBT = {
  id: 'aaaaaaaaaaaaa-eth0',
  sandboxId: 'a'.repeat(64),
  namespace: 'shop',
  name: 'web',
  network: 'berth',
  ifName: 'eth0',
  plugins: ['portmap'],
  addresses: ['10.88.0.5'],
  hostPorts: ['tcp/8080'],
  createdAt: new Date(Date.now() - 5_400_000).toISOString(),
  attempts: 4,
  nextAttemptAt: new Date(Date.now() + 5_400_000).toISOString(),
  lastError: 'plugin portmap failed (DEL)\nafter 3 s',
};

const NETWORK = [
  {
    generation: 2,
    since: '2026-01-02T03:04:05.000Z',
    dir: '/etc/cni/net.d',
    exists: true,
    error: '',
    networks: [
      { file: '10-berth.conflist', name: 'berth', cniVersion: '1.0.0', plugins: ['bridge', 'portmap'] },
    ],
    verdicts: [
      { file: '05-x.conf', verdict: 'rejected', reason: 'no type' },
      { file: '10-berth.conflist', verdict: 'active', reason: '' },
    ],
    status: {
      ok: true,
      network: 'berth',
      error: '',
      code: 0,
      isTimeout: false,
      at: '2026-01-02T03:04:06.000Z',
    },
  },
];

function json(value: unknown) {
  return () => ({ json: JSON.stringify(value) });
}

describe('berth net', () => {
  let peer: CriPeer;

  async function start(answers: Answers): Promise<void> {
    peer = await CriPeer.start(answers);
  }

  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
  });

  function net(...args: string[]) {
    return berth(['net', ...args, '--address', peer.address]);
  }

  it('explain tells where the address comes from, and each step with its failure', async () => {
    await start({ ExplainSandbox: json(STORY) });
    const { code, stdout } = await net('explain', 'shop/web');
    assert.equal(code, 0);
    assert.deepEqual(peer.requests[0], { method: 'ExplainSandbox', request: { pod: 'shop/web' } });
    assert.equal(
      stdout,
      `Pod:      shop/web
Sandbox:  ${'a'.repeat(64)}
State:    READY
Created:  2026-01-02T03:04:05.000Z
IP:       10.88.0.5
More IPs: fd00::5

NETWORK  INTERFACE  CONFIGURATION
berth    eth0       /etc/cni/net.d/10-berth.conflist

ADDRESS       INTERFACE  VERDICT     REASON
fd00::5/64    eth0       additional  ip_pref prefers ipv4
10.88.0.5/16  eth0       primary     chosen
10.88.0.1/16  -          rejected    its interface belongs to the host
Rule: addresses on eth0 in the sandbox; ip_pref ipv4 takes the first ipv4 address

TIME          VERB  PLUGIN        TOOK    OUTCOME  BY
03:04:05.001  ADD   bridge        3.0 ms  ok       built-in
03:04:05.010  ADD     host-local  0.7 ms  ok       built-in
03:04:05.020  ADD   tuning        2.50 s  failed   /opt/cni/bin/tuning
    error 7: no such sysctl\u{FFFD}[2J
    stderr: first
    stderr: second
`,
    );
  });

  it('explain shows delegated plugins below the one that asked them, however deep, and those whose asker is missing', () => {
    const step = (plugin: string, delegatedBy = '') => ({
      plugin,
      ...(delegatedBy === '' ? {} : { delegatedBy }),
    });
    const ordered = delegatesBelow([
      step('host-local', 'bridge'),
      step('bridge', 'flannel'),
      step('flannel'),
      step('portmap'),
      step('host-local', 'bridge'),
      step('bridge'),
      step('dhcp', 'macvlan'),
    ]);
    assert.deepEqual(
      ordered.map(({ step, depth }) => `${'.'.repeat(depth)}${stringOf(step['plugin'])}`),
      ['flannel', '.bridge', '..host-local', 'portmap', 'bridge', '.host-local', 'dhcp'],
    );
  });

  it('explain --verbose adds the configurations, and --json is the answer', async () => {
    await start({ ExplainSandbox: json(STORY) });
    assert.match((await net('explain', 'aaaa', '-v')).stdout, /\n {6}"token": "\*\*\*"\n/);
    assert.deepEqual(JSON.parse((await net('explain', 'aaaa', '--json')).stdout), STORY);
  });

  it('explain tells why a failed pod has no address, whatever else is missing', async () => {
    await start({
      ExplainSandbox: json({
        ...STORY,
        state: 'FAILED',
        error: 'no IP left',
        network: { ip: null, timeline: [] },
      }),
    });
    const { stdout } = await net('explain', 'shop/web');
    assert.match(
      stdout,
      /State: +FAILED\n.*\nIP: +none\nError: +no IP left\n\nNo plugin has been asked\.\n$/,
    );
  });

  it('explain of an unknown pod is exit code 4', async () => {
    await start({
      ExplainSandbox: () => {
        throw new Refusal('NOT_FOUND', 'no sandbox "x"');
      },
    });
    assert.deepEqual(await net('explain', 'x'), {
      code: 4,
      stdout: '',
      stderr: 'berth: failed to explain pod "x": no sandbox "x" (NOT_FOUND)\n',
    });
  });

  it('an answer that is no JSON is a failure', async () => {
    await start({ ExplainSandbox: () => ({ json: '{' }) });
    const { code, stderr } = await net('explain', 'x');
    assert.equal(code, 1);
    assert.match(stderr, /^berth: failed to explain pod "x": the answer is no JSON/);
  });

  it('debts lists what is owed, by whom and why', async () => {
    await start({ ListDebts: json([DEBT]) });
    const { stdout } = await net('debts');
    const [head = '', row = '', reason = ''] = stdout.split('\n');
    assert.deepEqual(head.split(/ {2,}/), [
      'DEBT',
      'POD',
      'NETWORK',
      'OWED BY',
      'HELD BACK',
      'ATTEMPTS',
      'AGE',
      'NEXT TRY',
    ]);
    assert.deepEqual(row.split(/ {2,}/), [
      DEBT.id,
      'shop/web',
      'berth',
      'portmap',
      '10.88.0.5,tcp/8080',
      '4',
      '1 h',
      'in 1 h',
    ]);
    assert.equal(reason, '  plugin portmap failed (DEL) after 3 s');
    assert.deepEqual(JSON.parse((await net('debts', 'list', '--json')).stdout), [DEBT]);
  });

  it('debts says so when there are none', async () => {
    await start({ ListDebts: json([]) });
    assert.equal((await net('debts', 'list')).stdout, 'no debts\n');
  });

  it('debts retry and forgive name what is free again', async () => {
    await start({ RetryDebt: json(DEBT), ForgiveDebt: json({ ...DEBT, addresses: [], hostPorts: [] }) });
    assert.equal(
      (await net('debts', 'retry', 'aaa')).stdout,
      'paid: aaaaaaaaaaaaa-eth0 of pod shop/web, free again: 10.88.0.5, tcp/8080\n',
    );
    assert.equal(
      (await net('debts', 'forgive', 'aaa')).stdout,
      'forgiven: aaaaaaaaaaaaa-eth0 of pod shop/web\n',
    );
    assert.deepEqual(peer.requests, [
      { method: 'RetryDebt', request: { id: 'aaa' } },
      { method: 'ForgiveDebt', request: { id: 'aaa' } },
    ]);
  });

  it('show has the readiness, the directory, its networks and each file', async () => {
    await start({
      Status: () => ({
        status: {
          conditions: [
            { type: 'RuntimeReady', status: true, reason: '', message: '' },
            { type: 'NetworkReady', status: false, reason: 'NetworkPluginNotReady', message: 'no networks' },
          ],
        },
        info: { network: JSON.stringify(NETWORK), debts: JSON.stringify([DEBT]), lastCNILoadStatus: 'OK' },
      }),
    });
    const { stdout } = await net('show');
    assert.equal(
      stdout,
      `RuntimeReady: yes
NetworkReady: no, NetworkPluginNotReady: no networks

Directory:   /etc/cni/net.d
Generation:  2, since 2026-01-02T03:04:05.000Z
Plugins say: ready (2026-01-02T03:04:06.000Z)

NETWORK  INTERFACE  CNI    PLUGINS          FILE               STALE SINCE
berth    eth0       1.0.0  bridge, portmap  10-berth.conflist

FILE               VERDICT   REASON
05-x.conf          rejected  no type
10-berth.conflist  active

Debts: 1 (see berth net debts)
`,
    );
    const shown = JSON.parse((await net('show', '--json')).stdout) as Record<string, unknown>;
    assert.deepEqual(shown['network'], NETWORK);
    assert.deepEqual(shown['debts'], [DEBT]);
  });

  it('show works with a runtime that tells less', async () => {
    await start({ Status: () => ({ status: { conditions: [{ type: 'NetworkReady', status: true }] } }) });
    assert.deepEqual(await net('show'), { code: 0, stdout: 'NetworkReady: yes\n', stderr: '' });
  });
});
