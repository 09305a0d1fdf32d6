import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { ContainerEventResponse__Output } from '../../../src/gen/runtime/v1/ContainerEventResponse.ts';
import { eventually } from '../../helpers/fixture.ts';
import { ContainerRig, type Pod } from './rig.ts';

const FOREVER = ['sleep', '3600'];
const own = { linux: { securityContext: { namespaceOptions: { pid: 'CONTAINER' } } } } as const;

/** A runc that takes its time to make a container. */
const SLOW_RUNC = `#!/bin/sh
case " $* " in *" create "*) touch "$0.creates"; sleep 1 ;; esac
exec runc "$@"
`;

describe('a container that is just being started', () => {
  let directory: string;
  let rig: ContainerRig;
  let pod: Pod;
  let id: string;
  let started: Promise<void>;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-slow-'));
    const binary = join(directory, 'runc');
    await writeFile(binary, SLOW_RUNC, { mode: 0o755 });
    const slow = { type: 'io.containerd.runc.v2', binary };
    const runtimes = { runc: { type: 'io.containerd.runc.v2' }, slow };
    rig = await ContainerRig.start({ config: { containerd: { runtimes } } });
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  beforeEach(async () => {
    pod = await rig.runPod('starting', {}, 'slow');
    id = await rig.create(pod, 'main', FOREVER, own);
    started = rig.startContainer(id);
    const creates = join(directory, 'runc.creates');
    await eventually('runc makes it', () =>
      rm(creates).then(
        () => true,
        () => undefined,
      ),
    );
  });

  afterEach(async () => {
    await rig.clear();
  });

  it('is removed once it has started and ended, as its events tell', async () => {
    const types: string[] = [];
    const events = rig.daemon.client.runtime.getContainerEvents({});
    events.on('data', (event: ContainerEventResponse__Output) => {
      if (event.containerId === id) types.push(event.containerEventType);
    });
    events.on('error', () => undefined);
    const removed = rig.remove(id);
    await started;
    // This one finds it running; it is told of the end, too.
    await rig.stop(id);
    await removed;
    assert.deepEqual(await rig.list(), []);
    await eventually('its deletion is told', () => (types.at(-1)?.includes('DELETED') ? true : undefined));
    events.cancel();
    assert.deepEqual(
      types.map((type) => type.split('_')[1]),
      ['CREATED', 'STARTED', 'STOPPED', 'DELETED'],
    );
  });

  it('is not ended by a second request for its name', async () => {
    const again = rig.create(pod, 'main', ['sleep', '3601'], own);
    await assert.rejects(again, { code: status.ALREADY_EXISTS, details: /of that name is running/ });
    await started;
    assert.equal((await rig.status(id)).state, 'CONTAINER_RUNNING');
  });
});
