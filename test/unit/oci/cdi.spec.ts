import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { cdiDeviceNames, withCdiDevices } from '../../../src/oci/cdi/inject.ts';
import { isDeviceName } from '../../../src/oci/cdi/specs.ts';
import type { RuntimeSpec } from '../../../src/oci/types.ts';
import { containerConfig, features, specInput } from './spec-input.ts';

describe('CDI', () => {
  let directory: string;
  const etc = (): string => join(directory, 'etc');
  const run = (): string => join(directory, 'run');
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-cdi-'));
    mkdirSync(etc());
    mkdirSync(run());
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (where: string, name: string, spec: unknown): void =>
    writeFileSync(join(where, name), typeof spec === 'string' ? spec : JSON.stringify(spec));
  const gpu = (edits: unknown, common?: unknown): unknown => ({
    cdiVersion: '0.6.0',
    kind: 'vendor.com/gpu',
    devices: [
      { name: '0', containerEdits: edits },
      { name: '1', containerEdits: { env: ['SECOND=1'] } },
    ],
    ...(common === undefined ? {} : { containerEdits: common }),
  });
  const inject = (
    names: string[],
    spec: RuntimeSpec = BASE_SPEC,
    runtime = features(),
  ): Promise<RuntimeSpec> => {
    const config = containerConfig({ CDIDevices: names.map((name) => ({ name })) });
    const cdiDirectories = [etc(), run(), join(directory, 'absent')];
    return withCdiDevices(spec, specInput({ config, runtime, cdiDirectories }));
  };

  it('changes nothing and reads nothing when no device is asked for', async () => {
    assert.equal(await inject([]), BASE_SPEC);
  });

  it('is off without directories, which is said', async () => {
    const config = containerConfig({ CDIDevices: [{ name: 'vendor.com/gpu=0' }] });
    await assert.rejects(withCdiDevices(BASE_SPEC, specInput({ config, cdiDirectories: [] })), {
      code: 'FAILED_PRECONDITION',
      message: /"vendor\.com\/gpu=0": runtime\.cdi_spec_dirs is empty/,
    });
  });

  it('applies the edits of a device, and those of its file once', async () => {
    const hook = { hookName: 'createContainer', path: '/hook', args: ['hook', 'x'], timeout: 3 };
    write(
      etc(),
      'gpu.json',
      gpu(
        {
          env: ['A=device', 'PATH=/vendor'],
          deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/null', permissions: 'r' }],
          mounts: [{ hostPath: '/lib/vendor', containerPath: '/proc', options: ['ro', 'bind'] }],
          hooks: [hook],
          additionalGids: [0, 44],
          netDevices: [{ hostInterfaceName: 'ib0', name: 'net1' }],
          intelRdt: { closID: 'gold' },
        },
        { env: ['A=file'], hooks: [{ ...hook, hookName: 'poststop' }], additionalGids: [45] },
      ),
    );
    const spec = await inject(['vendor.com/gpu=0', 'vendor.com/gpu=1'], {
      ...BASE_SPEC,
      process: { ...BASE_SPEC.process, env: ['PATH=/bin'], user: { uid: 7, gid: 0, additionalGids: [0] } },
    });
    assert.deepEqual(spec.process.env, ['PATH=/vendor', 'A=device', 'SECOND=1']);
    assert.deepEqual(spec.process.user.additionalGids, [0, 45, 44]);
    assert.deepEqual(spec.linux.devices, [{ path: '/dev/gpu0', type: 'c', major: 1, minor: 3, uid: 7 }]);
    assert.deepEqual(spec.linux.resources.devices.at(-1), {
      allow: true,
      type: 'c',
      major: 1,
      minor: 3,
      access: 'r',
    });
    const proc = spec.mounts.filter(({ destination }) => destination === '/proc');
    assert.deepEqual(proc, [
      { destination: '/proc', source: '/lib/vendor', type: 'bind', options: ['ro', 'bind'] },
    ]);
    assert.equal(spec.hooks?.createContainer?.length, 1);
    assert.deepEqual(spec.hooks.poststop, [{ path: '/hook', args: ['hook', 'x'], timeout: 3 }]);
    assert.deepEqual(
      [spec.linux.intelRdt, spec.linux.netDevices],
      [{ closID: 'gold' }, { ib0: { name: 'net1' } }],
    );
  });

  it('reads specs in YAML as it does those in JSON', async () => {
    write(
      etc(),
      'gpu.yaml',
      [
        '# written by a vendor',
        'cdiVersion: "0.6.0"',
        'kind: vendor.com/gpu',
        'containerEdits: &common',
        '  env: ["ALL=yes"]',
        'devices:',
        '- name: "0"',
        '  containerEdits:',
        '    env:',
        '    - ONE=1',
        '    deviceNodes:',
        '    - {path: /dev/x, type: c, major: 9, minor: 8, fileMode: 0660}',
        '- name: "1"',
        '  containerEdits: *common',
        '',
      ].join('\n'),
    );
    const { process, linux } = await inject(['vendor.com/gpu=0', 'vendor.com/gpu=1']);
    assert.deepEqual(process.env, ['ALL=yes', 'ONE=1']);
    assert.deepEqual(linux.devices, [{ path: '/dev/x', type: 'c', major: 9, minor: 8, fileMode: 0o660 }]);
  });

  it('reads a key without a value as one that is not there', async () => {
    const yaml = [
      'cdiVersion: "0.6.0"',
      'kind: vendor.com/gpu',
      'annotations:',
      'containerEdits:',
      'devices:',
    ];
    const device = [
      '- name: "0"',
      '  containerEdits:',
      '    mounts:',
      '    hooks: ~',
      '    env: [ONE=1]',
      '',
    ];
    write(etc(), 'gpu.yaml', [...yaml, ...device].join('\n'));
    assert.deepEqual((await inject(['vendor.com/gpu=0'])).process.env, ['ONE=1']);
    const json = gpu({ env: ['ONE=2'], mounts: null, deviceNodes: [{ path: '/dev/null', uid: null }] });
    write(run(), 'gpu.json', { ...(json as object), annotations: null, containerEdits: null });
    assert.deepEqual((await inject(['vendor.com/gpu=0'])).process.env, ['ONE=2']);
    write(etc(), 'gpu.yaml', 'kind:');
    write(run(), 'gpu.json', 'null');
    await assert.rejects(
      inject(['vendor.com/gpu=0']),
      /gpu\.yaml": [^;]*kind.*gpu\.json": .*expected object/s,
    );
  });

  it('is not brought down by a YAML that grows without bound', async () => {
    const levels = [...Array(12).keys()].map(
      (n) =>
        `a${n}: &a${n} [${
          n === 0
            ? 'x'
            : Array(9)
                .fill(`*a${n - 1}`)
                .join(', ')
        }]`,
    );
    write(etc(), 'bomb.yaml', levels.join('\n'));
    await assert.rejects(inject(['vendor.com/gpu=0']), /bomb\.yaml": [^;]*alias/i);
  });

  it('takes device numbers from the file when they are there', async () => {
    write(
      etc(),
      'gpu.json',
      gpu({ deviceNodes: [{ path: '/dev/x', type: 'b', major: 9, minor: 8, uid: 5, fileMode: 384 }] }),
    );
    const { devices } = (await inject(['vendor.com/gpu=0'])).linux;
    assert.deepEqual(devices, [{ path: '/dev/x', type: 'b', major: 9, minor: 8, uid: 5, fileMode: 0o600 }]);
  });

  it('maps the ids of bind mounts in a user namespace where the runtime can', async () => {
    write(
      etc(),
      'gpu.json',
      gpu({ mounts: [{ hostPath: '/lib', containerPath: '/lib/x', options: ['rbind'] }] }),
    );
    const inUserns = { ...BASE_SPEC, linux: { ...BASE_SPEC.linux, namespaces: [{ type: 'user' as const }] } };
    const options = (spec: RuntimeSpec): readonly string[] | undefined =>
      spec.mounts.find(({ destination }) => destination === '/lib/x')?.options;
    assert.deepEqual(options(await inject(['vendor.com/gpu=0'], inUserns)), ['rbind', 'idmap']);
    assert.deepEqual(options(await inject(['vendor.com/gpu=0'])), ['rbind']);
    assert.deepEqual(options(await inject(['vendor.com/gpu=0'], inUserns, features({ idmap: false }))), [
      'rbind',
    ]);
  });

  it('prefers the later directory, and refuses a device that is twice in one', async () => {
    write(etc(), 'a.json', gpu({ env: ['FROM=etc'] }));
    write(run(), 'a.json', gpu({ env: ['FROM=run'] }));
    assert.deepEqual((await inject(['vendor.com/gpu=0'])).process.env, ['FROM=run']);
    write(run(), 'b.json', gpu({ env: ['FROM=b'] }));
    await assert.rejects(inject(['vendor.com/gpu=0']), {
      code: 'FAILED_PRECONDITION',
      message: /run\/a\.json" and ".*run\/b\.json/,
    });
  });

  it('uses a device of a later directory although an earlier one has it twice', async () => {
    write(etc(), 'a.json', gpu({ env: ['FROM=a'] }));
    write(etc(), 'b.json', gpu({ env: ['FROM=b'] }));
    write(run(), 'c.json', gpu({ env: ['FROM=run'] }));
    assert.deepEqual((await inject(['vendor.com/gpu=0'])).process.env, ['FROM=run']);
  });

  it('is not stopped by the broken files of others, and tells of them when a device is missing', async () => {
    write(etc(), 'broken.json', '{');
    write(etc(), 'nvidia.yaml', 'cdiVersion: 0.6.0');
    write(etc(), 'torn.yaml', 'cdiVersion: [0.6.0');
    write(etc(), 'twice.yaml', 'kind: a.b/c\nkind: a.b/d\n');
    write(etc(), 'new.json', { ...(gpu({}) as object), future: 1 });
    write(etc(), 'readme.txt', 'not a spec');
    write(run(), 'good.json', gpu({ env: ['OK=1'] }));
    assert.deepEqual((await inject(['vendor.com/gpu=0'])).process.env, ['OK=1']);
    await assert.rejects(inject(['nvidia.com/gpu=all']), (error: Error) => {
      assert.match(
        error.message,
        /failed to inject CDI device "nvidia\.com\/gpu=all": no CDI spec of this node has it/,
      );
      assert.match(error.message, /nvidia\.yaml": [^;]*kind/);
      assert.match(error.message, /torn\.yaml/);
      assert.match(error.message, /twice\.yaml": Map keys must be unique/);
      assert.match(error.message, /broken\.json/);
      assert.match(error.message, /new\.json.*future/s);
      assert.doesNotMatch(error.message, /readme/);
      return true;
    });
  });

  it('names the device of the node that is missing or of another type', async () => {
    write(etc(), 'gpu.json', gpu({ deviceNodes: [{ path: '/dev/absent-gpu' }] }));
    await assert.rejects(inject(['vendor.com/gpu=0']), {
      code: 'FAILED_PRECONDITION',
      message: /"\/dev\/absent-gpu"/,
    });
    write(etc(), 'gpu.json', gpu({ deviceNodes: [{ path: '/dev/null', type: 'b' }] }));
    await assert.rejects(inject(['vendor.com/gpu=0']), /has type c, not b/);
    write(etc(), 'gpu.json', gpu({ deviceNodes: [{ path: etc() }] }));
    await assert.rejects(inject(['vendor.com/gpu=0']), /is not a device node/);
  });

  it('finds names in the field and in annotations, each once', () => {
    const names = cdiDeviceNames(
      containerConfig({
        CDIDevices: [{ name: 'v.com/c=a' }, { name: 'v.com/c=a' }],
        annotations: { 'cdi.k8s.io/plugin': 'v.com/c=b,v.com/c=a', 'other/key': 'x' },
      }),
    );
    assert.deepEqual(names, ['v.com/c=a', 'v.com/c=b']);
    assert.throws(() => cdiDeviceNames(containerConfig({ CDIDevices: [{ name: 'gpu' }] })), {
      code: 'INVALID_ARGUMENT',
      meta: { field: 'config.CDI_devices[0].name' },
    });
    assert.throws(() => cdiDeviceNames(containerConfig({ annotations: { 'cdi.k8s.io/x': '' } })), {
      meta: { field: 'config.annotations["cdi.k8s.io/x"]' },
    });
  });

  it('knows a full name', () => {
    for (const name of ['vendor.com/class=dev', 'v/c=0', 'a-b.c_d/e.f=0:1.2-a'])
      assert.ok(isDeviceName(name), name);
    const none = [
      '',
      'v/c',
      'v=c',
      '/c=x',
      'v/=x',
      'v/c=',
      '1v/c=x',
      'v/c=-x',
      'v/c=x-',
      'v-/c=x',
      'v/c=x y',
      'v/c/d=x',
    ];
    for (const name of none) assert.ok(!isDeviceName(name), name);
  });
});
