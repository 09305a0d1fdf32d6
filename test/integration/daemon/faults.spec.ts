import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { bridgeNetwork } from '../../helpers/daemon.ts';
import { podConfig } from '../../helpers/cri-client.ts';
import { eventually, Rig, Scratch } from '../../helpers/fixture.ts';
import { scriptedPlugin } from '../../helpers/scripted-plugin.ts';
import { berth } from '../cli/run-main.ts';

interface Conflist {
  plugins: Record<string, unknown>[];
}

/** bridge and host-local, then the scripted plugin, which is no built-in. */
function networkWith(dataDir: string, ...types: string[]): unknown {
  const list = bridgeNetwork(dataDir) as Conflist;
  return { ...list, plugins: [list.plugins[0], ...types.map((type) => ({ type }))] };
}

/** A directory that nothing was put into yet may not be there. */
function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

describe('a plugin that misbehaves', () => {
  let rig: Rig;
  let scratch: Scratch;
  let plugin: Awaited<ReturnType<typeof scriptedPlugin>>;

  before(async () => {
    scratch = await Scratch.create();
    plugin = await scriptedPlugin(scratch.path, 'shaky');
    rig = await Rig.start({
      networks: { '10-test.conflist': networkWith(scratch.path, 'shaky') },
      config: { cni: { bin_dirs: [scratch.path], add_timeout_seconds: 6, del_timeout_seconds: 6 } },
    });
  });
  beforeEach(async () => {
    await plugin.on('add', '');
    await plugin.on('del', '');
    await chmod(plugin.path, 0o755);
  });
  after(async () => {
    await rig[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  function nothingLeft(): void {
    const { directory } = rig.daemon;
    for (const where of ['root/sandboxes', 'state/sandboxes', 'netns', 'cni/results', 'root/debts']) {
      assert.deepEqual(entries(join(directory, where)), [], where);
    }
    const reserved = entries(join(scratch.path, 'ipam/berth-test')).filter((name) => /^\d+\./.test(name));
    assert.deepEqual(reserved, []);
  }

  const faults: [string, string, RegExp, number?][] = [
    [
      'reports an error',
      `echo '{"cniVersion":"1.0.0","code":100,"msg":"no luck","details":"today"}'; exit 1`,
      /plugin type="shaky".*failed \(add\).*no luck.*today/s,
    ],
    ['fails and says nothing', 'exit 3', /shaky.*netplugin failed with no error message/s],
    ['fails on stderr only', 'echo "went wrong" >&2; exit 3', /shaky.*netplugin failed: .*went wrong/s],
    ['prints garbage', 'echo hello; exit 0', /shaky/],
    ['prints truncated JSON', `echo '{"cniVersion":"1.0.0","ips":['; exit 0`, /shaky/],
    ['prints nothing', 'exit 0', /shaky.*printed no result/s],
    ['prints 50 MB', 'head -c 52428800 /dev/zero; exit 0', /shaky/],
    ['is killed', 'kill -9 $$', /shaky.*SIGKILL/s],
    ['hangs', 'sleep 60', /shaky/, status.DEADLINE_EXCEEDED],
    ['hangs with a grandchild on its stdout', 'sleep 60 & sleep 60', /shaky/, status.DEADLINE_EXCEEDED],
    [
      'asks for patience',
      `echo '{"cniVersion":"1.0.0","code":11,"msg":"later"}'; exit 1`,
      /later/,
      status.UNAVAILABLE,
    ],
    [
      'returns a result that makes no sense',
      `echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.1/24","interface":7}]}'; exit 0`,
      /shaky.*interface/s,
    ],
    [
      'returns a result without an address',
      `echo '{"cniVersion":"1.0.0"}'; exit 0`,
      /failed to find network info for sandbox "[0-9a-f]{64}": .*result/s,
    ],
  ];
  for (const [what, script, message, code] of faults) {
    it(`and ${what} fails the pod with a clear error, everything undone, and the next attempt works`, async () => {
      const { client } = rig.daemon;
      await plugin.on('add', script);
      const began = Date.now();
      await assert.rejects(client.run(podConfig('fault')), (error: { code: number; details: string }) => {
        assert.match(error.details, message);
        assert.match(
          error.details,
          /^failed to run sandbox "default\/fault": failed to setup network for sandbox "[0-9a-f]{64}": /,
        );
        assert.ok(encodeURI(error.details).length < 4096);
        if (code !== undefined) assert.equal(error.code, code);
        return true;
      });
      assert.ok(Date.now() - began < 45_000, 'waited for the plugin to end by itself');
      nothingLeft();
      await plugin.on('add', '');
      await client.remove(await client.run(podConfig('fault')));
      nothingLeft();
    });
  }

  it('and is not executable, or missing, is named with where it was looked for', async () => {
    const { client } = rig.daemon;
    await chmod(plugin.path, 0o644);
    await assert.rejects(client.run(podConfig('fault')), { details: /shaky/ });
    const script = readFileSync(plugin.path);
    await rm(plugin.path);
    await assert.rejects(client.run(podConfig('fault')), (error: { code: number; details: string }) => {
      assert.match(error.details, /failed to find plugin "shaky" in path/);
      assert.ok(error.details.includes(scratch.path));
      assert.equal(error.code, status.UNAVAILABLE);
      return true;
    });
    // What has never run has nothing to undo: kubelet's retries pile no debts up.
    nothingLeft();
    await writeFile(plugin.path, script);
    await chmod(plugin.path, 0o755);
    nothingLeft();
  });

  it('in DEL is not asked for a pod whose namespaces could not be made', async () => {
    const { client } = rig.daemon;
    await plugin.on('del', 'exit 1');
    const sysctls = { 'net.ipv4.ip_forward': 'neither' };
    await assert.rejects(client.run(podConfig('unmade', { linux: { sysctls } })), { details: /ip_forward/ });
    nothingLeft();
  });

  it('is told in DEL that the namespace is gone when somebody has removed it, and the pod has no IP', async () => {
    const { client } = rig.daemon;
    const id = await client.run(podConfig('robbed'));
    const told = async (): Promise<{ netNsClosed: boolean; netns: string; ip: string; state: string }> => {
      const answer = await client.podStatus(id, true);
      const { netNsClosed, runtimeSpec } = JSON.parse(answer.info['info'] ?? '') as {
        netNsClosed: boolean;
        runtimeSpec: { linux: { namespaces: { type: string; path: string }[] } };
      };
      const netns = runtimeSpec.linux.namespaces.find(({ type }) => type === 'network')?.path ?? '';
      return { netNsClosed, netns, ip: answer.status?.network?.ip ?? '', state: answer.status?.state ?? '' };
    };
    const { netns, ...before } = await told();
    assert.equal(before.netNsClosed, false);
    assert.match(before.ip, /^10\.97\./);
    await execa('umount', [netns]);
    await rm(netns);
    assert.deepEqual(await told(), { netNsClosed: true, netns, ip: '', state: 'SANDBOX_READY' });
    await client.remove(id);
    const calls = readFileSync(join(scratch.path, 'shaky.calls'), 'utf8').split('\n');
    assert.equal(
      calls.findLast((line) => line.startsWith('DEL ')),
      `DEL ${id} eth0 netns=`,
    );
    nothingLeft();
  });

  it('keeps its failure explained for a while', async () => {
    const { client } = rig.daemon;
    await plugin.on('add', 'echo "stderr text" >&2; exit 3');
    await assert.rejects(client.run(podConfig('explained')));
    const main = new URL('../../../src/main.js', import.meta.url).pathname;
    const { stdout } = await execa(process.execPath, [
      main,
      'net',
      'explain',
      'default/explained',
      '--address',
      rig.daemon.socket,
    ]);
    assert.match(stdout, /shaky/);
    assert.match(stdout, /stderr text/);
  });

  it('in DEL does not keep the pod: the address is free, the debt is its alone, and is paid when it recovers', async () => {
    const { client, directory } = rig.daemon;
    await plugin.on('del', 'echo "no DEL today" >&2; exit 1');
    const id = await client.run(podConfig('debtor'));
    await client.stop(id);
    await client.remove(id);
    assert.deepEqual(await client.list(), []);
    const reserved = entries(join(scratch.path, 'ipam/berth-test')).filter((name) => /^\d+\./.test(name));
    assert.deepEqual(reserved, []);
    const debts = JSON.parse((await client.status(true)).info['debts'] ?? '') as {
      plugins: string[];
      lastError: string;
    }[];
    assert.deepEqual(
      debts.map((debt) => debt.plugins),
      [['shaky']],
    );
    assert.match(debts[0]?.lastError ?? '', /no DEL today/);
    await plugin.on('del', '');
    await eventually('the debt is paid', () =>
      readdirSync(join(directory, 'root/debts')).length === 0 ? true : undefined,
    );
    nothingLeft();
  });
});

describe('a plugin that hangs for long', () => {
  it('keeps Status, other calls and a retry from nothing', async () => {
    await using scratch = await Scratch.create();
    const plugin = await scriptedPlugin(scratch.path, 'shaky');
    await using rig = await Rig.start({
      networks: { '10-test.conflist': networkWith(scratch.path, 'shaky') },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client } = rig.daemon;
    const go = join(scratch.path, 'go');
    await plugin.on('add', `until [ -e ${go} ]; do sleep 0.05; done`);
    const slow = client.run(podConfig('slow'));
    const retry = client.run(podConfig('slow'));
    await eventually('the plugin hangs', () => entries(scratch.path).includes('shaky.calls') || undefined);
    for (let i = 0; i < 20; i += 1) {
      await client.status();
      await client.list();
    }
    await writeFile(go, '');
    assert.equal(await slow, await retry);
    await client.remove(await slow);
  });
});

describe('a configuration that a built-in refuses', () => {
  it('owes no DEL, which would be refused in the same words for ever', async () => {
    await using scratch = await Scratch.create();
    const network = networkWith(scratch.path, 'portmap') as { plugins: Record<string, unknown>[] };
    Object.assign(network.plugins[0] ?? {}, { ipMasq: 'yes' });
    await using rig = await Rig.start({ networks: { '10-test.conflist': network } });
    const { client, directory } = rig.daemon;
    const run = client.run(podConfig('refused'));
    await assert.rejects(run, {
      details: /"bridge".*failed \(add\): invalid ipMasq: must be true or false/s,
    });
    for (const where of ['root/sandboxes', 'netns', 'cni/results', 'root/debts'])
      assert.deepEqual(entries(join(directory, where)), [], where);
    assert.equal(await rig.node.run('ip', '-br', 'link', 'show', 'type', 'veth'), '');
  });
});

describe('a chain whose executable is missing at the DEL', () => {
  it('pays the DEL with the configuration of the ADD once it is there again', async () => {
    await using scratch = await Scratch.create();
    const plugin = await scriptedPlugin(scratch.path, 'shaky');
    await using rig = await Rig.start({
      networks: { '10-test.conflist': networkWith(scratch.path, 'shaky') },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client, confDir, directory } = rig.daemon;
    const id = await client.run(podConfig('gone'));
    const script = readFileSync(plugin.path);
    await rm(plugin.path);
    await rm(join(confDir, '10-test.conflist'));
    await client.stop(id);
    await client.remove(id);
    assert.equal(readdirSync(join(directory, 'root/debts')).length, 1);
    await writeFile(plugin.path, script);
    await chmod(plugin.path, 0o755);
    await eventually('the debt is paid', () =>
      readdirSync(join(directory, 'root/debts')).length === 0 ? true : undefined,
    );
    const calls = readFileSync(join(scratch.path, 'shaky.calls'), 'utf8').trim().split('\n');
    assert.equal(calls.at(-1), `DEL ${id} eth0 netns=`);
  });
});

describe('a main plugin whose executable is missing at the DEL', () => {
  it('has host-local give its address back meanwhile; what it owes itself it pays once it is there again', async () => {
    await using scratch = await Scratch.create();
    const plugin = await scriptedPlugin(scratch.path, 'shaky');
    // Of a /30 there is one address.
    const list = bridgeNetwork(scratch.path, '10.97.0.0/30') as Conflist;
    const main = { type: 'shaky', ipam: list.plugins[0]?.['ipam'] };
    await using rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins: [main] } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client, confDir, directory } = rig.daemon;
    const reservation = join(scratch.path, 'ipam/berth-test/10.97.0.2');
    const owners = (): string => (existsSync(reservation) ? readFileSync(reservation, 'utf8') : '');
    const ip = '"ips":[{"interface":0,"address":"10.97.0.2/30"}]';
    const result = `{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'$CNI_NETNS'"}],${ip}}`;
    const reserve = `printf '%s\\r\\n%s' "$CNI_CONTAINERID" "$CNI_IFNAME" > ${reservation}`;
    await plugin.on('add', `mkdir -p ${dirname(reservation)}; ${reserve}; echo '${result}'; exit 0`);
    const id = await client.run(podConfig('uninstalled'));
    assert.equal(owners(), `${id}\r\neth0`);
    const script = readFileSync(plugin.path);
    await rm(plugin.path);
    await writeFile(join(confDir, '10-test.conflist'), JSON.stringify(list));
    await client.stop(id);
    await client.remove(id);
    const next = await eventually('its address goes to another pod', () =>
      client.run(podConfig('next')).catch(() => undefined),
    );
    assert.equal((await client.podStatus(next)).status?.network?.ip, '10.97.0.2');
    assert.equal(entries(join(directory, 'root/debts')).length, 1);
    await writeFile(plugin.path, script);
    await chmod(plugin.path, 0o755);
    await eventually('the debt is paid', () =>
      entries(join(directory, 'root/debts')).length === 0 ? true : undefined,
    );
    assert.equal(owners(), `${next}\r\neth0`);
  });
});

describe('an IPAM executable behind a built-in', () => {
  it('that hangs for one pod holds up neither other pods of its network nor their end', async () => {
    await using scratch = await Scratch.create();
    const ipam = await scriptedPlugin(scratch.path, 'ponder');
    const list = bridgeNetwork(scratch.path) as Conflist;
    const plugins = [{ ...list.plugins[0], ipam: { type: 'ponder' } }];
    await using rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins } },
      config: { cni: { bin_dirs: [scratch.path] } },
    });
    const { client } = rig.daemon;
    const go = join(scratch.path, 'go');
    const hangs = `case $CNI_ARGS in *K8S_POD_NAME=slow*) until [ -e ${go} ]; do sleep 0.05; done ;; esac`;
    const answer = `echo '{"cniVersion":"1.0.0","ips":[{"address":"10.97.0.7/16"}]}'; exit 0`;
    await ipam.on('add', `${hangs}\n${answer}`);
    let hasEnded = false;
    const slow = client.run(podConfig('slow')).finally(() => {
      hasEnded = true;
    });
    await eventually('the plugin hangs', () => entries(scratch.path).includes('ponder.calls') || undefined);
    await client.remove(await client.run(podConfig('quick')));
    assert.equal(hasEnded, false);
    await writeFile(go, '');
    await slow;
  });
});

describe('an IPAM executable behind a built-in that hangs beyond the deadline', () => {
  it('owes its DEL when that fails, too, and is told of with what it said', async () => {
    await using scratch = await Scratch.create();
    const ipam = await scriptedPlugin(scratch.path, 'ponder');
    const list = bridgeNetwork(scratch.path) as Conflist;
    const plugins = [{ ...list.plugins[0], ipam: { type: 'ponder' } }];
    await using rig = await Rig.start({
      networks: { '10-test.conflist': { ...list, plugins } },
      config: { cni: { bin_dirs: [scratch.path], add_timeout_seconds: 2 } },
    });
    const { client, directory, socket } = rig.daemon;
    await ipam.on('add', 'echo "no answer from the store" >&2; exec sleep 60');
    await ipam.on('del', 'exit 1');
    await assert.rejects(client.run(podConfig('slow')), {
      code: status.DEADLINE_EXCEEDED,
      details: /"bridge".*ended before it answered: the CNI chain took longer than 2000 ms/,
    });
    assert.equal(readdirSync(join(directory, 'root/debts')).length, 1);
    const { stdout } = await berth(['net', 'explain', 'default/slow', '--address', socket]);
    assert.match(
      stdout,
      / ADD +bridge .* failed +built-in\n[^]* ADD +ponder .* failed +\/.*\/ponder\n[^]*no answer from the store/,
    );
    await ipam.on('del', '');
    await eventually('the debt is paid', () =>
      entries(join(directory, 'root/debts')).length === 0 ? true : undefined,
    );
  });
});

describe('an exhausted range', () => {
  it('is a clear error; nothing is left, and a freed address goes to the next pod', async () => {
    await using scratch = await Scratch.create();
    const list = bridgeNetwork(scratch.path, '10.98.0.0/29') as Conflist;
    await using rig = await Rig.start({ networks: { '10-test.conflist': list } });
    const { client, directory } = rig.daemon;
    // /29: network, gateway and broadcast leave five.
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.push(await client.run(podConfig(`p${i}`)));
    await assert.rejects(client.run(podConfig('sixth')), {
      details: /no IP addresses available in range set: 10\.98\.0\.1-10\.98\.0\.6/,
    });
    assert.equal(readdirSync(join(directory, 'netns')).length, 5);
    await client.remove(ids[2]!);
    const last = await client.run(podConfig('sixth'));
    assert.match((await client.podStatus(last)).status?.network?.ip ?? '', /^10\.98\.0\.[2-6]$/);
  });

  it('leaves the network ready, since kubelet would sync no pod and the node be drained', async () => {
    await using scratch = await Scratch.create();
    const list = { ...(bridgeNetwork(scratch.path, '10.98.0.0/30') as Conflist), cniVersion: '1.1.0' };
    await using rig = await Rig.start({ networks: { '10-test.conflist': list } });
    const { client } = rig.daemon;
    await client.run(podConfig('only'));
    const told = await eventually('STATUS has been asked', async () => {
      const { status } = await client.status();
      const condition = status?.conditions.find(({ type }) => type === 'NetworkReady');
      return condition === undefined || condition.message === '' ? undefined : condition;
    });
    assert.equal(told.status, true, told.message);
    assert.equal(told.reason, 'IPAddressesExhausted');
    assert.match(told.message, /network "berth-test" is full: .*no IP addresses available in range set 0/);
  });
});

describe('bad input over the wire', () => {
  it('is INVALID_ARGUMENT naming the field, creates nothing and does no harm', async () => {
    await using rig = await Rig.start();
    const { client, directory } = rig.daemon;
    const bad: [Parameters<typeof client.run>[0], RegExp, string?][] = [
      [{}, /config\.metadata/],
      [podConfig('x/../../y'), /metadata\.name/],
      [podConfig('x', { logDirectory: '/var/log/../../etc' }), /log_directory/],
      [podConfig('x', { portMappings: [{ hostPort: 99999, containerPort: 80 }] }), /host_port/],
      [
        podConfig('x', { linux: { securityContext: { namespaceOptions: { network: 17 as never } } } }),
        /network/,
      ],
      [podConfig('x', { linux: { sysctls: { 'vm.overcommit_memory': '1' } } }), /vm\.overcommit_memory/],
      [podConfig('x', { labels: { big: 'x'.repeat(1_000_000) } }), /config\.labels/],
      [
        podConfig('x', { annotations: { 'kubernetes.io/ingress-bandwidth': '1T of it' } }),
        /ingress-bandwidth/,
      ],
      [podConfig('x'), /runtime_handler/, 'nope'],
    ];
    for (const [config, message, handler] of bad) {
      await assert.rejects(client.run(config, handler), { code: status.INVALID_ARGUMENT, details: message });
    }
    await assert.rejects(client.podStatus(''), { code: status.INVALID_ARGUMENT, details: /pod_sandbox_id/ });
    await assert.rejects(client.podStatus('../../etc/passwd'), { code: status.INVALID_ARGUMENT });
    await assert.rejects(client.podStatus('beef'), { code: status.NOT_FOUND });
    await client.stop('beef');
    await client.remove('beef');
    // A sysctl that only the kernel refuses: the namespaces were made already.
    await assert.rejects(
      client.run(podConfig('x', { linux: { sysctls: { 'net.ipv4.no_such_key': '1' } } })),
      { details: /net\.ipv4\.no_such_key/ },
    );
    for (const where of ['root/sandboxes', 'state/sandboxes', 'netns']) {
      assert.deepEqual(entries(join(directory, where)), [], where);
    }
  });
});
