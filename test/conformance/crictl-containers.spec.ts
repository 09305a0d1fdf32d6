import assert from 'node:assert/strict';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { embeddedPaths } from '../../src/containerd/embedded/embedded.ts';
import { Cleanup } from '../helpers/cleanup.ts';
import { TestDaemon } from '../helpers/daemon.ts';
import { eventually } from '../helpers/fixture.ts';
import { TestRegistry } from '../integration/containerd/registry.ts';
import { type TinyImage, tinyImage } from '../integration/containerd/tiny-image.ts';

const CGROUPS = '/sys/fs/cgroup';
const CGROUP = 'berth-crictl';

interface Listed {
  readonly containers: readonly {
    readonly id: string;
    readonly state: string;
    readonly imageId: string;
    readonly podSandboxId: string;
  }[];
}

describe('crictl with containers', () => {
  const started = new Cleanup();
  let daemon: TestDaemon;
  let image: TinyImage;
  let reference: string;

  before(async () => {
    assert.equal(process.env['BERTH_PRIVATE_NETWORK'], '1', 'this needs a network namespace of its own');
    started.defer(clearMachine);
    image = tinyImage('berth.local/test/tiny:1');
    const registry = started.use(await TestRegistry.start(image.served));
    reference = `${registry.host}/test/tiny:1`;
    // Not on a node of its own: registry and containerd have to meet on loopback.
    daemon = started.use(await TestDaemon.start({ config: { containerd: { address: 'embedded' } } }));
  });

  after(async () => {
    await started[Symbol.asyncDispose]();
  });

  it('pulls, runs, lists, logs, measures, stops and removes', async () => {
    assert.match(await crictl('pull', reference), /up to date/);
    const { images } = JSON.parse(await crictl('images', '-o', 'json')) as { images: { id: string }[] };
    assert.deepEqual(
      images.map(({ id }) => id),
      [image.id],
    );

    const id = await run('web', ['sh', '-c', 'echo hello; trap "exit 3" TERM; sleep 3600 & wait']);
    const [listed] = await ps();
    assert.equal(listed?.id, id);
    assert.equal(listed.state, 'CONTAINER_RUNNING');
    assert.equal(listed.imageId, image.id);
    assert.match(await crictl('ps'), /web/);
    await eventually('the log is there', async () =>
      (await crictl('logs', id)) === 'hello' ? true : undefined,
    );
    assert.equal((await crictl('exec', '--sync', id, 'echo', 'inside')).trim(), 'inside');

    const { stats } = JSON.parse(await crictl('stats', '-o', 'json')) as {
      stats: { attributes: { id: string }; memory: { workingSetBytes: { value: string } } }[];
    };
    assert.equal(stats[0]?.attributes.id, id);
    assert.ok(Number(stats[0].memory.workingSetBytes.value) > 0);

    const { socket } = embeddedPaths({
      root: join(daemon.directory, 'root'),
      state: join(daemon.directory, 'state'),
    });
    const { stdout } = await execa('ctr', ['--address', socket, '-n', 'k8s.io', 'containers', 'ls']);
    assert.match(stdout, new RegExp(id));

    // A beginning of the id is enough.
    await crictl('stop', '--timeout', '10', id.slice(0, 13));
    assert.deepEqual(await ps(), []);
    const inspected = JSON.parse(await crictl('inspect', id)) as {
      status: { state: string; exitCode: number };
    };
    assert.equal(inspected.status.state, 'CONTAINER_EXITED');
    assert.equal(inspected.status.exitCode, 3);
    assert.equal((await ps('-a'))[0]?.state, 'CONTAINER_EXITED');
    await crictl('rm', id);
    assert.deepEqual(await ps('-a'), []);
    await crictl('rmp', '-fa');
    await crictl('rmi', reference);
    assert.deepEqual(JSON.parse(await crictl('images', '-o', 'json')), { images: [] });
  });

  it('is told why an image cannot be pulled, and why a container cannot be started', async () => {
    await assert.rejects(
      crictl('pull', `${reference.split('/')[0] ?? ''}/test/tiny:1@sha256:${'0'.repeat(64)}`),
      {
        stderr: /unexpected commit digest/,
      },
    );
    await crictl('pull', reference);
    await assert.rejects(run('broken', ['/no/such/program']), { stderr: /\/no\/such\/program/ });
    assert.equal((await ps('-a'))[0]?.state, 'CONTAINER_EXITED');
    await crictl('rmp', '-fa');
  });

  async function crictl(...args: string[]): Promise<string> {
    const program = process.env['CRICTL'];
    assert.ok(program, 'CRICTL is not set: run this through npm run conformance');
    const endpoint = `unix://${daemon.socket}`;
    const endpoints = ['--runtime-endpoint', endpoint, '--image-endpoint', endpoint];
    return (await execa(program, [...endpoints, ...args])).stdout;
  }

  async function ps(...args: string[]): Promise<Listed['containers']> {
    return (JSON.parse(await crictl('ps', '-o', 'json', ...args)) as Listed).containers;
  }

  /** A pod with a container in it; the container's id. */
  async function run(name: string, command: readonly string[]): Promise<string> {
    const logDirectory = join(daemon.directory, 'logs', name);
    await mkdir(logDirectory, { recursive: true });
    const pod = await file('pod.json', {
      metadata: { name, namespace: 'default', uid: `${name}-uid`, attempt: 0 },
      log_directory: logDirectory,
      linux: { cgroup_parent: `/${CGROUP}` },
    });
    const container = await file('container.json', {
      metadata: { name, attempt: 0 },
      image: { image: reference },
      command,
      log_path: `${name}.log`,
      linux: { security_context: { namespace_options: { pid: 1 } } },
    });
    return (await crictl('run', '--no-pull', container, pod)).trim();
  }

  async function file(name: string, content: object): Promise<string> {
    const path = join(daemon.directory, name);
    await writeFile(path, JSON.stringify(content));
    return path;
  }
});

/** What plugins and the kernel keep when the last pod is gone. */
async function clearMachine(): Promise<void> {
  await execa('ip', ['link', 'delete', 'brt0'], { reject: false });
  await execa('nft', ['flush', 'ruleset']);
  for (const hierarchy of ['', ...(await readdir(CGROUPS))])
    await rmdir(join(CGROUPS, hierarchy, CGROUP)).catch(() => undefined);
}
