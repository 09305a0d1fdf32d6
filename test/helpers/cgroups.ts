import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const TOP = '/sys/fs/cgroup';

/** Where a cgroup of this name is or would be: in each hierarchy of cgroup v1, or in the one of v2. */
function directoriesOf(name: string): string[] {
  const hierarchies = existsSync(join(TOP, 'cgroup.procs')) ? [''] : readdirSync(TOP);
  return hierarchies.map((hierarchy) => join(TOP, hierarchy, name));
}

/** Makes a cgroup in every hierarchy. With v1 one for cpusets can be used only once it has some. */
export function makeCgroup(name: string): void {
  for (const directory of directoriesOf(name)) {
    const parent = dirname(directory);
    if (existsSync(directory)) continue;
    mkdirSync(directory);
    for (const file of ['cpuset.cpus', 'cpuset.mems'].filter((it) => existsSync(join(parent, it))))
      writeFileSync(join(directory, file), readFileSync(join(parent, file)));
  }
}

/** Removes a cgroup and those below it, as far as they are empty. True once there is none. */
export function removeCgroups(name: string): true | undefined {
  const directories = directoriesOf(name);
  directories.forEach(removeTree);
  return directories.some((directory) => existsSync(directory)) ? undefined : true;
}

/** The cgroup of a process, by the name of a controller. */
export function cgroupOf(pid: number, controller: string): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trimEnd().split('\n');
  const fields = lines.map((line) => line.split(':'));
  const [, , path = ''] =
    fields.find(([, controllers = '']) => controllers.split(',').includes(controller)) ??
    fields.find(([id]) => id === '0') ??
    [];
  return path;
}

/** What a cgroup may use: bytes of memory, and microseconds of processor time in each period. */
export function limitsOf(path: string): { memory: string; quota: string; period: string } {
  const read = (...parts: string[]): string => readFileSync(join(TOP, ...parts), 'utf8').trim();
  if (existsSync(join(TOP, 'cgroup.procs'))) {
    const [quota = '', period = ''] = read(path, 'cpu.max').split(' ');
    return { memory: read(path, 'memory.max'), quota, period };
  }
  return {
    memory: read('memory', path, 'memory.limit_in_bytes'),
    quota: read('cpu', path, 'cpu.cfs_quota_us'),
    period: read('cpu', path, 'cpu.cfs_period_us'),
  };
}

/** Every cgroup below one, in all hierarchies. */
export function cgroupsBelow(name: string): string[] {
  return directoriesOf(name).flatMap((directory) => below(directory));
}

function below(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => {
        const path = join(directory, entry.name);
        return [path, ...below(path)];
      });
  } catch {
    return [];
  }
}

/** rmdir from the leaves up: the files of a cgroup cannot be removed. */
function removeTree(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(directory, entry.name));
    rmdirSync(directory);
  } catch {
    // Not there, or a process is still in it.
  }
}
