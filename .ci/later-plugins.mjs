// The reference plugins of Debian's later suite: Debian 12 has 1.1, which lacks what came since.
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { apt, cached, unpack } from './later-debian.mjs';

const SUITE = 'sid';

/** The directory of their executables, fetched once. */
export function laterPlugins() {
  const directory = cached(`plugins-${SUITE}`, ['cni/bridge', 'cni/tap', 'cni/dummy'], (empty) => {
    console.log(`fetching the reference plugins of Debian ${SUITE}`);
    const later = apt(empty, SUITE);
    later('apt-get', 'update');
    later('apt-get', 'download', 'containernetworking-plugins');
    const tree = join(empty, 'tree');
    unpack(empty, tree);
    renameSync(join(tree, 'usr/lib/cni'), join(empty, 'cni'));
    for (const name of readdirSync(empty).filter((other) => other !== 'cni'))
      rmSync(join(empty, name), { recursive: true });
  });
  return join(directory, 'cni');
}
