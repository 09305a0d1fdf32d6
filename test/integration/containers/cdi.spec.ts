import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { ContainerRig } from './rig.ts';

describe('CDI devices in containers', () => {
  let rig: ContainerRig;
  const vendor = `berth-${randomBytes(4).toString('hex')}.test`;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-cdi-'));
    rig = await ContainerRig.start({ config: { runtime: { cdi_spec_dirs: [directory] } } });
    const lines = [
      'cdiVersion: "0.6.0"',
      `kind: ${vendor}/card`,
      'devices:',
      '- name: zero',
      '  containerEdits:',
      '    env: [CARD=zero]',
      '    deviceNodes: [{path: /dev/card0, hostPath: /dev/zero}]',
    ];
    await writeFile(join(directory, `${vendor}.yaml`), `${lines.join('\n')}\n`);
  });

  after(async () => {
    await rig[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  afterEach(() => rig.clear());

  it('are what a spec in YAML says', async () => {
    const pod = await rig.runPod('card');
    const show = ['sh', '-c', 'echo $CARD; head -c 3 /dev/card0 | od -An -tx1'];
    const id = await rig.run(pod, 'main', show, { CDIDevices: [{ name: `${vendor}/card=zero` }] });
    assert.equal((await rig.ended(id)).exitCode, 0);
    assert.match(await rig.logged(pod, 'main', /00/), /^zero\n 00 00 00\n$/);
  });

  it('that no spec has are refused by name, and nothing stays', async () => {
    const pod = await rig.runPod('absent');
    const asked = { CDIDevices: [{ name: `${vendor}/card=one` }] };
    await assert.rejects(rig.create(pod, 'main', ['true'], asked), {
      code: status.FAILED_PRECONDITION,
      details: new RegExp(`${vendor}/card=one.*no CDI spec`),
    });
  });
});
