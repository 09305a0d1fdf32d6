import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { buildSpec } from '../../../src/oci/build.ts';
import type { SpecInput } from '../../../src/oci/input.ts';
import { withResourceClasses } from '../../../src/oci/resource-classes.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import { containerConfig, sandboxConfig, sandboxFacts, specInput } from './spec-input.ts';

type Annotations = Record<string, string>;

describe('resource classes', () => {
  let resctrl: string;
  before(() => {
    resctrl = mkdtempSync(join(tmpdir(), 'berth-resctrl-'));
    for (const name of ['gold', 'silver', 'bronze', 'info', '.'])
      mkdirSync(join(resctrl, name), { recursive: true });
    for (const name of ['gold', 'silver', 'bronze', '.'])
      writeFileSync(join(resctrl, name, 'schemata'), 'L3:0=f\n');
  });
  after(() => rmSync(resctrl, { recursive: true }));

  const input = (own: Annotations, pods: Annotations): SpecInput =>
    specInput({
      config: containerConfig({ metadata: { name: 'web', attempt: 0 }, annotations: own }),
      sandbox: sandboxFacts({ config: sandboxConfig({ annotations: pods }) }),
    });
  const classes = (own: Annotations, pods: Annotations = {}): Promise<RuntimeSpec> =>
    withResourceClasses(BASE_SPEC, input(own, pods), resctrl);
  const closId = async (own: Annotations, pods: Annotations = {}): Promise<string | undefined> =>
    (await classes(own, pods)).linux.intelRdt?.closID;

  const OWN = 'io.kubernetes.cri.rdt-class';
  const CONTAINER = 'rdt.resources.beta.kubernetes.io/container.web';
  const POD = 'rdt.resources.beta.kubernetes.io/pod';

  it('of RDT are those of the container, of its pod for it, or of its pod', async () => {
    const pods = { [CONTAINER]: 'silver', [POD]: 'bronze' };
    assert.equal(await closId({ [OWN]: 'gold' }, pods), 'gold');
    assert.equal(await closId({}, pods), 'silver');
    assert.equal(await closId({}, { [POD]: 'bronze', [`${CONTAINER}2`]: 'gold' }), 'bronze');
    assert.equal(await closId({ [OWN]: '' }, pods), undefined);
    assert.equal(await classes({}), BASE_SPEC);
  });

  it('of RDT that the node does not have are refused by the annotation', async () => {
    for (const name of ['absent', 'info', '.', '..', 'gold/../silver', 'a\0b']) {
      const field = `sandbox_config.annotations["${POD}"]`;
      await assert.rejects(
        classes({}, { [POD]: name }),
        { code: 'FAILED_PRECONDITION', meta: { field } },
        name,
      );
    }
    const missing =
      /annotations\["io\.kubernetes\.cri\.rdt-class"\]: "absent": no such RDT class on this node: ENOENT/;
    await assert.rejects(classes({ [OWN]: 'absent' }), missing);
  });

  it('of block I/O are refused by the annotation', async () => {
    const refused = (field: string) => ({ code: 'FAILED_PRECONDITION', meta: { field } });
    const own = { 'io.kubernetes.cri.blockio-class': 'slow' };
    await assert.rejects(
      buildSpec(input(own, {})),
      refused('config.annotations["io.kubernetes.cri.blockio-class"]'),
    );
    for (const key of [
      'blockio.resources.beta.kubernetes.io/pod',
      'blockio.resources.beta.kubernetes.io/container.web',
    ])
      await assert.rejects(classes({}, { [key]: 'slow' }), refused(`sandbox_config.annotations["${key}"]`));
  });
});
