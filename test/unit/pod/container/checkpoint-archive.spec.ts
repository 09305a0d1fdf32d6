import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import {
  checkMembers,
  type Member,
  membersOf,
  readCheckpoint,
  unpackCheckpoint,
} from '../../../../src/pod/container/checkpoint-archive.ts';

const CONFIG = {
  name: 'count',
  rootfsImage: 'example.org/a:1',
  rootfsImageRef: 'example.org/a@sha256:0',
  rootfsImageName: 'example.org/a:1',
  checkpointedTime: '2026-11-30T22:00:00Z',
};
const SPEC = {
  process: { terminal: true },
  mounts: [
    { destination: '/proc', type: 'proc' },
    { destination: '/data/', type: 'bind', options: ['rbind'] },
    { destination: '/etc/hosts', options: ['rbind', 'rw'] },
  ],
  linux: { namespaces: [{ type: 'mount' }, { type: 'user' }] },
};
const WHOLE = {
  'config.dump': JSON.stringify(CONFIG),
  'spec.dump': JSON.stringify(SPEC),
  'checkpoint/inventory.img': 'of CRIU',
};

describe('an archive of a checkpoint', () => {
  let directory: string;
  let parts: string;
  let target: string;
  const { signal } = new AbortController();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-archive-'));
    [parts, target] = [join(directory, 'parts'), join(directory, 'target')];
    for (const one of [parts, target]) await mkdir(one);
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('tells what it is a checkpoint of', async () => {
    await unpackCheckpoint(await packed(WHOLE), target, signal);
    assert.deepEqual(await readCheckpoint(target), {
      checkpointedAt: '2026-11-30T22:00:00Z',
      images: ['example.org/a@sha256:0', 'example.org/a:1'],
      terminal: true,
      userNamespace: true,
      mounts: ['/data', '/etc/hosts'],
      deleted: [],
    });
  });

  it('may be compressed, have names that begin with a dot, and other files, which stay where they are', async () => {
    const more = {
      ...WHOLE,
      'deleted.files': '["/etc/gone"]',
      'other/file': '',
      'checkpoint/sub/pages.img': 'x',
    };
    await symlink('/etc', join(parts, 'link'));
    await unpackCheckpoint(await packed(more, ['--gzip', '.']), target, signal);
    assert.equal(await readFile(join(target, 'checkpoint/sub/pages.img'), 'utf8'), 'x');
    assert.deepEqual((await readCheckpoint(target)).deleted, ['/etc/gone']);
    assert.ok(!existsSync(join(target, 'other')) && !existsSync(join(target, 'link')));
  });

  it('gives its files to whom unpacks it', async () => {
    const archive = await packed(WHOLE, ['--owner=1234', '--group=1234', '--mode=7777', '.']);
    await unpackCheckpoint(archive, target, signal);
    const { uid, mode } = statSync(join(target, 'config.dump'));
    assert.deepEqual([uid, mode & 0o7022], [process.getuid?.(), 0]);
  });

  const bad: [string, Record<string, string>, RegExp][] = [
    ['has no configuration', { ...WHOLE, 'config.dump': '' }, /it has no config\.dump/],
    ['has no spec', { ...WHOLE, 'spec.dump': '' }, /it has no spec\.dump/],
    [
      'has no images of CRIU',
      { ...WHOLE, 'checkpoint/inventory.img': '' },
      /it has no checkpoint\/inventory\.img/,
    ],
  ];
  for (const [what, files, problem] of bad)
    it(`that ${what} is refused`, async () => {
      const present = Object.fromEntries(Object.entries(files).filter(([, content]) => content !== ''));
      await refused(await packed({ ...present, file: '' }), problem);
    });

  it('that leads out of itself is refused, and nothing is written', async () => {
    for (const name of ['../out', '/tmp/berth-out', 'checkpoint/../../out']) {
      const archive = await packed(WHOLE, [
        '--absolute-names',
        `--transform=s,.*inventory.*,${name},`,
        'checkpoint',
      ]);
      await refused(archive, /leads out of it/);
      assert.ok(!existsSync(join(directory, 'out')));
    }
  });

  it('that has a link or a device among its parts is refused', async () => {
    await symlink('/etc', join(parts, 'checkpoint'));
    const others = Object.fromEntries(
      Object.entries(WHOLE).filter(([name]) => name !== 'checkpoint/inventory.img'),
    );
    await refused(await packed(others), /"checkpoint" is neither file nor directory/);
    await rm(join(parts, 'checkpoint'));
    await execa('mkfifo', [join(parts, 'rootfs-diff.tar')]);
    await refused(await packed(WHOLE), /"rootfs-diff.tar" is neither file nor directory/);
  });

  it('that is none, not whole, or not a file is refused', async () => {
    const file = join(directory, 'file');
    await writeFile(file, 'no archive at all');
    await refused(file, /tar/);
    const whole = await readFile(await packed(WHOLE));
    await writeFile(file, whole.subarray(0, 1_024));
    await refused(file, /tar|it has no/);
    await refused(directory, /it is not a file/);
  });

  it('that says what cannot be read is refused, by name', async () => {
    const documents: [Record<string, string>, RegExp][] = [
      [{ 'config.dump': 'none' }, /config\.dump is no JSON/],
      [{ 'config.dump': '{}' }, /config\.dump names no image/],
      [{ 'spec.dump': '{"process":{"terminal":"x"}}' }, /spec\.dump: process\.terminal/],
      [{ 'deleted.files': '{}' }, /deleted\.files: /],
    ];
    for (const [changed, message] of documents) {
      await unpackCheckpoint(await packed({ ...WHOLE, ...changed }), target, signal);
      await assert.rejects(readCheckpoint(target), { code: 'INVALID_ARGUMENT', message });
    }
  });

  it('that is larger than the disk, or has a document too large to read, is refused', async () => {
    const archive = await packed(WHOLE);
    const images = join(parts, 'checkpoint', 'pages.img');
    await execa('truncate', ['--size=8T', images]);
    await execa('tar', ['--append', '--sparse', '--file', archive, '-C', parts, 'checkpoint/pages.img']);
    await assert.rejects(unpackCheckpoint(archive, target, signal), { code: 'RESOURCE_EXHAUSTED' });
    const large: Member[] = [{ kind: '-', size: 9 * 1024 * 1024, name: './spec.dump' }];
    assert.throws(() => checkMembers(large), { message: /spec\.dump has 9437184 bytes/ });
  });

  it('that would have countless files made for those that it says were removed is refused', async () => {
    const many = Array.from({ length: 3_000 }, (_, i) => `${i}${'/a'.repeat(100)}`);
    for (const [deleted, problem] of [
      [many, /deleted\.files has 303000 files and directories/],
      [many.slice(0, 1_000), undefined],
    ] as const) {
      for (const [name, content] of Object.entries({ ...WHOLE, 'deleted.files': JSON.stringify(deleted) })) {
        await mkdir(dirname(join(target, name)), { recursive: true });
        await writeFile(join(target, name), content);
      }
      if (problem === undefined) assert.equal((await readCheckpoint(target)).deleted.length, 1_000);
      else await assert.rejects(readCheckpoint(target), { code: 'INVALID_ARGUMENT', message: problem });
    }
  });

  it('is listed as it is', () => {
    const listing = [
      '-rw------- 0/0             123 2026-11-30 22:01 ./with space',
      'lrwxrwxrwx 0/0               0 2026-11-30 22:01 link -> ../../etc',
      'crw-r--r-- 1000/1000        1,3 2026-11-30 22:01 null',
      '',
    ];
    assert.deepEqual(membersOf(listing.join('\n')), [
      { kind: '-', size: 123, name: './with space' },
      { kind: 'l', size: 0, name: 'link' },
      { kind: 'c', size: 1, name: 'null' },
    ]);
    assert.throws(() => membersOf('what?'), { message: /"what\?"/ });
  });

  /** All that is in `parts`, with these files. */
  async function packed(files: Record<string, string>, args?: string[]): Promise<string> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(parts, name)), { recursive: true });
      await writeFile(join(parts, name), content);
    }
    const archive = join(directory, 'archive.tar');
    const what = args ?? readdirSync(parts);
    await execa('tar', ['--create', '--file', archive, '--directory', parts, ...what]);
    return archive;
  }

  async function refused(archive: string, message: RegExp): Promise<void> {
    await assert.rejects(unpackCheckpoint(archive, target, signal), { code: 'INVALID_ARGUMENT', message });
  }
});
