import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device__Output } from '../../../src/gen/runtime/v1/Device.ts';
import { BASE_SPEC } from '../../../src/oci/base.ts';
import { withDevices } from '../../../src/oci/devices.ts';
import type { Linux } from '../../../src/oci/types.ts';
import { containerConfig, handlerRules, mount, secured, specInput } from './spec-input.ts';

const linuxOf = async (devices: Device__Output[], privileged = false): Promise<Linux> => {
  const config = privileged ? secured({ privileged }, { devices }) : containerConfig({ devices });
  return (await withDevices(BASE_SPEC, specInput({ config }))).linux;
};
const device = (hostPath: string, containerPath = '', permissions = 'rw'): Device__Output => ({
  hostPath,
  containerPath,
  permissions,
});

describe('devices', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-devices-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  it('are none by default, and none may be used', async () => {
    const { devices, resources } = await linuxOf([]);
    assert.equal(devices, undefined);
    assert.deepEqual(resources.devices, [{ allow: false, access: 'rwm' }]);
  });

  it('appear under the name asked for, with leave to use them so', async () => {
    const { devices, resources } = await linuxOf([device('/dev/null', '/dev/nothing', 'rw')]);
    assert.deepEqual(devices, [
      { path: '/dev/nothing', type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 },
    ]);
    assert.deepEqual(resources.devices, [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
    ]);
  });

  it('follow a symlink, and keep their own name when no other is given', async () => {
    const link = join(directory, 'zero');
    symlinkSync('/dev/zero', link);
    const [found] = (await linuxOf([device(link)])).devices ?? [];
    assert.deepEqual([found?.path, found?.minor], [link, 5]);
  });

  it('come with all of a directory', async () => {
    const { devices = [] } = await linuxOf([device('/dev', '/host')]);
    const paths = devices.map(({ path }) => path);
    for (const path of ['/host/null', '/host/tty', '/host/full']) assert.ok(paths.includes(path), path);
    for (const path of paths) assert.doesNotMatch(path, /^\/host\/(console|pts|shm|fd|mqueue)/);
  });

  it('of a directory are no FIFOs, and no files', async () => {
    const below = join(directory, 'below');
    mkdirSync(below);
    writeFileSync(join(below, 'plain'), '');
    execFileSync('mkfifo', [join(below, 'fifo')]);
    await assert.rejects(linuxOf([device(below)]), /not a device node/);
    const [fifo] = (await linuxOf([device(join(below, 'fifo'), '/fifo')])).devices ?? [];
    assert.deepEqual([fifo?.type, fifo?.path], ['p', '/fifo']);
  });

  it('are all of the node for a privileged container, each path once', async () => {
    const { devices = [], resources } = await linuxOf([device('/dev/zero', '/dev/null')], true);
    const paths = devices.map(({ path }) => path);
    assert.equal(new Set(paths).size, paths.length);
    assert.ok(paths.includes('/dev/full'));
    assert.equal(devices.find(({ path }) => path === '/dev/null')?.minor, 5);
    assert.deepEqual(resources.devices, [{ allow: true, access: 'rwm' }]);
  });

  it('of the node stay there when the handler says so, for privileged containers, too', async () => {
    const config = secured({ privileged: true }, { devices: [device('/dev/zero', '/dev/given')] });
    const found = async (allDevicesAllowed: boolean): Promise<Linux> => {
      const handler = handlerRules({
        privilegedWithoutHostDevices: true,
        privilegedWithoutHostDevicesAllDevicesAllowed: allDevicesAllowed,
      });
      return (await withDevices(BASE_SPEC, specInput({ config, handler }))).linux;
    };
    const modest = await found(false);
    assert.deepEqual(
      modest.devices?.map(({ path }) => path),
      ['/dev/given'],
    );
    assert.deepEqual(modest.resources.devices, [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 1, minor: 5, access: 'rw' },
    ]);
    const liberal = await found(true);
    assert.deepEqual(
      [liberal.devices, liberal.resources.devices],
      [modest.devices, [{ allow: true, access: 'rwm' }]],
    );
  });

  it('belong to whom the container runs as where the node says so, or to whom they belong on the node', async () => {
    const path = join(directory, 'owned');
    execFileSync('mkfifo', [path]);
    // Whoever runs this: not root.
    if (process.getuid?.() === 0) chownSync(path, 34, 33);
    const { uid, gid } = statSync(path);
    const devices = [device(path)];
    const owner = async (part: Parameters<typeof secured>[0]): Promise<(number | undefined)[]> => {
      const config = secured(part, { devices });
      const { linux } = await withDevices(BASE_SPEC, specInput({ config, ownDevices: true }));
      return (linux.devices ?? []).flatMap(({ uid, gid }) => [uid, gid]);
    };
    const root = { value: '0' };
    assert.deepEqual(await owner({ runAsUser: { value: '7' }, runAsGroup: { value: '8' } }), [7, 8]);
    assert.deepEqual(await owner({ runAsUser: { value: '7' } }), [7, gid]);
    assert.deepEqual(await owner({ runAsUser: root, runAsGroup: { value: '8' } }), [uid, 8]);
    for (const nobody of [{}, { runAsUser: root, runAsGroup: root }])
      assert.deepEqual(await owner(nobody), [uid, gid]);
  });

  it("may be the node's console for a terminal where /dev is the node's, and not otherwise", async () => {
    const rules = async (tty: boolean, hostPath: string): Promise<unknown[]> => {
      const mounts = [mount({ hostPath, containerPath: '/dev/' })];
      const input = specInput({ config: containerConfig({ tty, mounts }) });
      return (await withDevices(BASE_SPEC, input)).linux.resources.devices.slice(1);
    };
    assert.deepEqual(await rules(true, '/dev'), [
      { allow: true, type: 'c', major: 5, minor: 1, access: 'rw' },
    ]);
    assert.deepEqual([await rules(false, '/dev'), await rules(true, '/srv')], [[], []]);
  });

  it('are refused when they are absent, no devices, or to be used in unknown ways', async () => {
    const plain = join(directory, 'plain');
    writeFileSync(plain, '');
    const bad: [Device__Output, string][] = [
      [device('/dev/absent'), 'host_path'],
      [device(plain), 'host_path'],
      [device(''), 'host_path'],
      [device('dev/null'), 'host_path'],
      [device('/dev/null', 'x'), 'container_path'],
      [device('/dev/null', '', 'x'), 'permissions'],
      [device('/dev/null', '', ''), 'permissions'],
    ];
    for (const [asked, field] of bad) {
      await assert.rejects(linuxOf([device('/dev/null'), asked]), {
        code: 'INVALID_ARGUMENT',
        meta: { field: `config.devices[1].${field}` },
      });
    }
  });
});
