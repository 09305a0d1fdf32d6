import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../../src/lib/package-root.ts';
import { pluginTypes } from '../../../src/network/plugins/types.ts';
import { TestNode } from '../../helpers/node.ts';

const links = join(packageRoot(), 'dist/cni');

/** A directory of plugin executables as an administrator would fill it. */
async function binDir(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'bin-'));
  for (const type of pluginTypes) await symlink(join(links, type), join(path, type));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('the plugin executables of npm run build', () => {
  it('are one for each built-in plugin', async () => {
    assert.deepEqual((await readdir(links)).sort(), [...pluginTypes].sort());
  });

  for (const type of pluginTypes) {
    it(`speak the protocol when linked into a plugin directory: ${type}`, async () => {
      await using directory = await binDir();
      const { stdout } = await execa(join(directory.path, type), {
        env: { CNI_COMMAND: 'VERSION', PATH: process.env['PATH'] ?? '' },
        extendEnv: false,
        input: '{"cniVersion":"1.0.0"}',
      });
      const answer = JSON.parse(stdout) as { supportedVersions: string[] };
      assert.ok(answer.supportedVersions.includes('1.0.0'), stdout);
    });
  }

  it('run a pod network for another runtime: loopback up by ADD', async () => {
    await using directory = await binDir();
    await using pod = await TestNode.create();
    await execa('ip', ['-netns', pod.name, 'link', 'set', 'lo', 'down']);
    await execa(join(directory.path, 'loopback'), {
      env: {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'other-runtime',
        CNI_NETNS: pod.path,
        CNI_IFNAME: 'lo',
        CNI_PATH: directory.path,
        PATH: process.env['PATH'] ?? '',
      },
      extendEnv: false,
      input: '{"cniVersion":"1.0.0","name":"lo","type":"loopback"}',
    });
    const { stdout } = await execa('ip', ['-netns', pod.name, '-json', 'link', 'show', 'lo']);
    const [lo] = JSON.parse(stdout) as { flags: string[] }[];
    assert.ok(lo?.flags.includes('UP'), stdout);
  });
});
