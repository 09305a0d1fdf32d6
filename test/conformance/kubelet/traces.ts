import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { embeddedPaths } from '../../../src/containerd/embedded/embedded.ts';
import { cgroupsBelow } from '../../helpers/cgroups.ts';
import type { KubeletRig } from './rig.ts';

/** What pods leave traces in, on Berth's side, on kubelet's, in containerd and in the kernel: a line for each. */
export async function traces(rig: KubeletRig): Promise<string[]> {
  const { daemon, kubelet } = rig;
  const at = (...parts: string[]): string => join(daemon.directory, ...parts);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(daemon.directory) || target.startsWith(rig.directory));
  return [
    ...(await daemon.client.list()).map(({ id }) => `sandbox ${id}`),
    ...(await daemon.client.containers()).map(({ id }) => `container ${id}`),
    ...(await ofContainerd(daemon.directory)),
    ...(await ofNetwork()),
    ...mounts.map((target) => `mount ${target}`),
    ...cgroupsBelow(rig.cgroup)
      .filter((path) => /\/pod[0-9a-f-]+/.test(path))
      .map((path) => `cgroup ${path}`),
    ...filesBelow(at('netns')),
    ...filesBelow(at('cni')),
    // host-local remembers the last address, and locks by a file.
    ...filesBelow(at('ipam')).filter((line) => !/last_reserved_ip|lock$/.test(line)),
    ...filesBelow(at('root/sandboxes')),
    ...filesBelow(at('root/containers')),
    ...filesBelow(at('state/io')),
    ...filesBelow(at('state/sandboxes')),
    ...filesBelow(kubelet.podLogs),
    ...filesBelow(kubelet.podDirectories),
  ];
}

async function ofContainerd(directory: string): Promise<string[]> {
  const { socket } = embeddedPaths({ root: join(directory, 'root'), state: join(directory, 'state') });
  const list = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await execa('ctr', ['--address', socket, '-n', 'k8s.io', ...args]);
    return stdout.split('\n').filter((line) => line !== '');
  };
  return [
    ...(await list('containers', 'ls', '--quiet')).map((id) => `containerd's container ${id}`),
    ...(await list('tasks', 'ls', '--quiet')).map((id) => `task ${id}`),
    ...(await list('leases', 'ls', '--quiet')).map((id) => `lease ${id}`),
    ...(await list('snapshots', 'ls')).filter((line) => line.includes('Active')),
  ];
}

/** Links, and rules of host ports; their chains stay, as the reference's do. */
async function ofNetwork(): Promise<string[]> {
  const links = JSON.parse((await execa('ip', ['-json', 'link'])).stdout) as { ifname: string }[];
  const { stdout: rules } = await execa('nft', ['list', 'ruleset']);
  return [
    ...links.filter(({ ifname }) => ifname !== 'brt0').map(({ ifname }) => `link ${ifname}`),
    ...rules.split('\n').filter((line) => /18080|10\.97\./.test(line)),
  ];
}

/** Every file below a directory, save for what goes at this moment. */
function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [`file ${path}`];
    });
  } catch {
    return [];
  }
}
