import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A plugin executable that does as a file tells it, so that a test can change its mind between calls:
 * `<dir>/<type>.add` and `<dir>/<type>.del` hold shell lines; without one it passes prevResult on, or succeeds. It keeps a
 * line for each call in `<dir>/<type>.calls`.
 */
export async function scriptedPlugin(
  dir: string,
  type: string,
): Promise<{
  on: (verb: 'add' | 'del', lines: string) => Promise<void>;
  path: string;
}> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, type);
  const script = `#!/bin/sh
here=${dir}
input=$(cat)
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME netns=$CNI_NETNS" >> $here/${type}.calls
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'; exit 0 ;;
ADD) [ -f $here/${type}.add ] && . $here/${type}.add
     printf '%s' "$input" | sed -n 's/.*"prevResult":\\({.*}\\)}$/\\1/p' ;;
DEL) [ -f $here/${type}.del ] && . $here/${type}.del ;;
esac
exit 0
`;
  await writeFile(path, script);
  await chmod(path, 0o755);
  return {
    path,
    on: (verb, lines) => writeFile(join(dir, `${type}.${verb}`), `${lines}\n`),
  };
}
