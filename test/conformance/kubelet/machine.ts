import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { Cleanup } from '../../helpers/cleanup.ts';
import { makeCgroup, removeCgroups } from '../../helpers/cgroups.ts';
import { eventually } from '../../helpers/fixture.ts';

/** kubelet refuses a node whose only addresses are loopback's own; this one is on lo all the same. */
export const NODE_IP = '10.98.0.1';

/** What kubelet insists on, and sets where it differs: the machine's settings are not ours to change. */
const SETTINGS = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

/** Directories that no option of kubelet moves. */
const FIXED = ['/var/lib/kubelet', '/var/log/containers'];

/**
 * Gives kubelet a machine that it may do with as it likes, in the mount and network namespaces of the run: its settings as it wants
 * them, its fixed directories empty, an address for the node, and a cgroup for all pods.
 */
export async function prepareMachine(directory: string, cgroup: string): Promise<Cleanup> {
  const machine = new Cleanup();
  try {
    for (const [name, value] of Object.entries(SETTINGS)) {
      const file = join(directory, name.replaceAll('/', '.'));
      writeFileSync(file, `${value}\n`);
      await mounted(machine, ['--bind', file], join('/proc/sys', name));
    }
    for (const path of FIXED) {
      if (!existsSync(path)) {
        await mkdir(path);
        machine.defer(() => rmdir(path));
      }
      await mounted(machine, ['-t', 'tmpfs', 'kubelet'], path);
    }
    await execa('ip', ['address', 'add', `${NODE_IP}/32`, 'dev', 'lo']);
    machine.defer(async () => {
      await execa('ip', ['address', 'delete', `${NODE_IP}/32`, 'dev', 'lo']);
    });
    makeCgroup(cgroup);
    machine.defer(async () => {
      await eventually('the cgroups are empty', () => removeCgroups(cgroup));
    });
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
  return machine;
}

async function mounted(machine: Cleanup, source: readonly string[], target: string): Promise<void> {
  await execa('mount', [...source, target]);
  machine.defer(async () => {
    await execa('umount', [target]);
  });
}
