import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { loadBaseSpec } from '../../../src/oci/base-file.ts';
import { buildSpec } from '../../../src/oci/build.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import { containerConfig, secured, securedSandbox, sandboxFacts, specInput } from './spec-input.ts';

describe('a runtime spec from a file', () => {
  let directory: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-base-'));
  });

  after(() => rmSync(directory, { recursive: true }));

  function load(content: unknown): Promise<RuntimeSpec> {
    const path = join(directory, 'base.json');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return loadBaseSpec(path);
  }

  it('that says nothing is the built-in one', async () => {
    assert.deepEqual(await load({}), BASE_SPEC);
  });

  it('keeps what the CRI may leave unsaid, and what only the OCI runtime knows', async () => {
    const hooks = { prestart: [{ path: '/hook' }] };
    const rlimits = [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }];
    const scheduler = { policy: 'SCHED_BATCH' };
    const base = await load({ hooks, process: { rlimits, scheduler, env: ['A=base', 'B=base'] } });
    const config = containerConfig({ envs: [{ key: 'B', value: 'config' }] });
    const spec = await buildSpec(specInput({ base, config }));
    assert.deepEqual([spec.hooks, spec.process.rlimits], [hooks, rlimits]);
    assert.deepEqual((spec.process as { scheduler?: unknown }).scheduler, scheduler);
    assert.ok(spec.process.env.includes('A=base') && spec.process.env.includes('B=config'));
    assert.ok(!spec.process.env.includes('B=base'));
    assert.deepEqual(spec.process.args, ['true']);
    assert.deepEqual(spec.mounts, (await buildSpec(specInput({ config }))).mounts);
  });

  it('gives no security profile, no /run and no version', async () => {
    const base = await load({
      ociVersion: '9.9.9',
      process: { apparmorProfile: 'theirs' },
      linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } },
      mounts: [
        { destination: '/run', type: 'tmpfs' },
        { destination: '/proc', type: 'proc' },
      ],
    });
    assert.equal(base.ociVersion, BASE_SPEC.ociVersion);
    assert.equal(base.process.apparmorProfile, undefined);
    assert.equal(base.linux.seccomp, undefined);
    assert.deepEqual(base.mounts, [{ destination: '/proc', type: 'proc', source: '', options: [] }]);
  });

  it('hides no path from a privileged container', async () => {
    const base = await load({ linux: { maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys'] } });
    const plain = await buildSpec(specInput({ base }));
    assert.deepEqual(plain.linux.maskedPaths, ['/proc/kcore']);
    const sandbox = sandboxFacts({ config: securedSandbox({ privileged: true }) });
    const { linux } = await buildSpec(specInput({ base, sandbox, config: secured({ privileged: true }) }));
    assert.deepEqual([linux.maskedPaths, linux.readonlyPaths], [undefined, undefined]);
  });

  it('is refused by its name and the key that is wrong', async () => {
    const cases: [unknown, RegExp][] = [
      ['{', /cannot use the runtime spec ".*base\.json": .*JSON/],
      ['[]', /it is not a JSON object/],
      [{ process: [] }, /process is not an object/],
      [{ process: { rlimits: {} } }, /process\.rlimits is not a list/],
      [{ linux: { resources: { devices: {} } } }, /linux\.resources\.devices is not a list/],
      [{ mounts: [{ type: 'tmpfs' }] }, /mounts\[0\]\.destination is missing/],
    ];
    for (const [content, message] of cases)
      await assert.rejects(load(content), { code: 'INVALID_ARGUMENT', message });
    await assert.rejects(loadBaseSpec(join(directory, 'absent.json')), /absent\.json": ENOENT/);
  });
});
