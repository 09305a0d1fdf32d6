import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ThreadPool } from '../../../../src/kernel/threads/pool.ts';
import type { JsonObject } from '../../../../src/lib/json.ts';
import { ExecInvoke } from '../../../../src/network/cni/invoke/exec-invoke.ts';
import type { PluginRequest } from '../../../../src/network/cni/invoke/invoke.ts';
import type { Step } from '../../../../src/network/cni/types.ts';
import {
  BuiltinInvoke,
  DelegatedExecutables,
  pluginJobsModule,
} from '../../../../src/network/plugins/builtin-invoke.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNetns } from '../../../helpers/netns.ts';

const env =
  'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';

describe('built-in plugins on worker threads', () => {
  let cleanup: Cleanup;
  let directory: string;
  let invoke: BuiltinInvoke;
  let netns: TestNetns;

  before(() => {
    netns = new TestNetns();
  });

  after(() => netns[Symbol.dispose]());

  beforeEach(async () => {
    cleanup = new Cleanup();
    directory = cleanup.use(await Scratch.create()).path;
    const delegated = new DelegatedExecutables(new ExecInvoke());
    const pool = new ThreadPool({
      name: 'plugins',
      size: 2,
      modules: [pluginJobsModule],
      serve: delegated.serve,
    });
    cleanup.defer(() => pool.stop());
    invoke = new BuiltinInvoke(pool, delegated);
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  function request(type: string, config: JsonObject, more: Partial<PluginRequest> = {}): PluginRequest {
    const whole = { cniVersion: '1.1.0', name: 'net', type, ...config };
    const call = {
      verb: 'ADD',
      containerId: 'c1',
      netns: netns.path,
      ifName: 'eth0',
      args: '',
    } as const;
    return { ...call, type, path: [directory], config: whole, ...more };
  }

  const hostLocal = (): JsonObject => ({
    ipam: { type: 'host-local', subnet: '10.7.0.0/24', dataDir: directory },
  });

  function flannel(): JsonObject {
    writeFileSync(join(directory, 'subnet.env'), env);
    return {
      subnetFile: join(directory, 'subnet.env'),
      dataDir: join(directory, 'flannel'),
      ipam: { dataDir: directory },
      delegate: { type: 'scripted' },
    };
  }

  /** An executable in the plugin path. */
  function script(body: string): void {
    writeFileSync(join(directory, 'scripted'), `#!/bin/sh\n${body}\n`);
    chmodSync(join(directory, 'scripted'), 0o755);
  }

  it('begin nothing when the namespace was not made', async () => {
    const { signal } = new AbortController();
    const call = invoke.invoke(request('host-local', hostLocal(), { netns: '/run/netns/none' }), { signal });
    await assert.rejects(call, {
      name: 'PluginError',
      message: /^failed to open netns "\/run\/netns\/none"/,
    });
    assert.deepEqual(readdirSync(directory), []);
  });

  it('answer a STATUS while an ADD of the same network takes its time', async () => {
    script('while [ ! -e "$CNI_PATH/go" ]; do sleep 0.05; done; echo \'{"cniVersion":"1.1.0","ips":[]}\'');
    const { signal } = new AbortController();
    const add = invoke.invoke(request('flannel', flannel()), { signal });
    const status = request('host-local', hostLocal(), {
      verb: 'STATUS',
      containerId: '',
      netns: '',
      ifName: '',
    });
    assert.equal((await invoke.invoke(status, { signal })).provider, 'built-in');
    writeFileSync(join(directory, 'go'), '');
    await add;
  });

  it('answer what the plugin would print', async () => {
    const { signal } = new AbortController();
    const { output, provider } = await invoke.invoke(request('host-local', hostLocal()), { signal });
    assert.equal(provider, 'built-in');
    assert.deepEqual(output, { cniVersion: '1.1.0', ips: [{ address: '10.7.0.2/24', gateway: '10.7.0.1' }] });
  });

  it('fail with the code and text of the plugin', async () => {
    const { signal } = new AbortController();
    await assert.rejects(invoke.invoke(request('host-local', { ipam: {} }), { signal }), {
      name: 'PluginError',
      code: 999,
      message: 'no IP ranges specified',
      provider: 'built-in',
    });
    await assert.rejects(invoke.invoke(request('host-local', hostLocal(), { ifName: 'a/b' }), { signal }), {
      code: 4,
    });
  });

  it('keep the addresses of hints and of each other', async () => {
    const hints = { withheld: { addresses: ['10.7.0.2'], hostPorts: [] } };
    const ids = Array.from({ length: 30 }, (_, index) => `c${index}`);
    const add = (containerId: string): Promise<unknown> => {
      const { signal } = new AbortController();
      return invoke.invoke(request('host-local', hostLocal(), { containerId, hints }), { signal });
    };
    await Promise.all(ids.map(add));
    const files = readdirSync(join(directory, 'net')).filter((name) => name.startsWith('10.'));
    assert.equal(files.length, 30);
    assert.equal(files.includes('10.7.0.2'), false);
  });

  it('delegate to executables through the main thread, reporting the step, its process and its secrets masked', async () => {
    script(
      'cat > "$CNI_PATH/stdin"; echo warned >&2; echo \'{"cniVersion":"1.1.0","ips":[{"address":"10.244.1.9/24"}]}\'',
    );
    const steps: Step[] = [];
    const pids: (number | undefined)[] = [];
    const config = { ...flannel(), delegate: { type: 'scripted', password: 'secret' } };
    const { output } = await invoke.invoke(request('flannel', config), {
      signal: new AbortController().signal,
      onStep: (step) => void steps.push(step),
      onProcess: (process) => void pids.push(process?.pid),
    });
    assert.deepEqual((output as JsonObject)['ips'], [{ address: '10.244.1.9/24' }]);
    const [step] = steps;
    assert.deepEqual([step?.plugin, step?.verb, step?.delegatedBy], ['scripted', 'ADD', 'flannel']);
    assert.equal(step?.provider, join(directory, 'scripted'));
    assert.equal(step.stderr?.trim(), 'warned');
    assert.equal(step.config['password'], '***');
    assert.equal(pids.length, 2);
    assert.equal(pids[1], undefined);
    assert.equal(existsSync(join(directory, 'stdin')), true);
  });

  it("give a delegated executable's error its code, and name what is missing", async () => {
    const { signal } = new AbortController();
    script('echo \'{"code":11,"msg":"later","details":"busy"}\'; exit 1');
    await assert.rejects(invoke.invoke(request('flannel', flannel()), { signal }), {
      code: 11,
      message: /later/,
    });
    const missing = { ...flannel(), delegate: { type: 'nosuch' } };
    await assert.rejects(
      invoke.invoke(request('flannel', missing), { signal }),
      /failed to find plugin "nosuch" in path/,
    );
  });

  it('end once the delegated executable is killed, of which they tell, and the next call works', async () => {
    script('echo "no server answers" >&2; exec sleep 60');
    const controller = new AbortController();
    const reason = new Error('too slow');
    const steps: Step[] = [];
    let pid = 0;
    const config = { ...flannel(), delegate: { type: 'scripted', password: 'secret' } };
    const call = invoke.invoke(request('flannel', config), {
      signal: controller.signal,
      onStep: (step) => void steps.push(step),
      onProcess: (process) => {
        if (process === undefined) return;
        pid = process.pid;
        setTimeout(() => controller.abort(reason), 200);
      },
    });
    await assert.rejects(call, {
      name: 'PluginError',
      message: 'ended before it answered',
      provider: 'built-in',
      cause: reason,
    });
    assert.equal(existsSync(`/proc/${pid}`), false);
    const told = steps.map(({ plugin, delegatedBy, provider, stderr }) => [
      plugin,
      delegatedBy,
      provider,
      stderr?.trim(),
    ]);
    assert.deepEqual(told, [['scripted', 'flannel', join(directory, 'scripted'), 'no server answers']]);
    assert.equal(steps[0]?.config['password'], '***');
    const { signal } = new AbortController();
    await invoke.invoke(request('host-local', hostLocal()), { signal });
  });

  it('that wait for their turn end with the abort reason', async () => {
    script('exec sleep 60');
    const first = new AbortController();
    const second = new AbortController();
    const reason = new Error('too slow');
    const running = invoke.invoke(request('flannel', flannel()), {
      signal: first.signal,
      onProcess: (process) => {
        if (process !== undefined) second.abort(reason);
      },
    });
    const waiting = invoke.invoke(request('host-local', hostLocal()), { signal: second.signal });
    await assert.rejects(waiting, (error) => error === reason);
    first.abort(reason);
    await assert.rejects(running, { provider: 'built-in' });
  });
});
