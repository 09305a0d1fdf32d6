/** Configurations made from a template and the pod CIDR that kubelet hands down by UpdateRuntimeConfig. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../../lib/directories.ts';
import { writeFileAtomic } from '../../../lib/atomic-file.ts';
import { invalid, wrap } from '../../../lib/errors.ts';
import { canonicalCidr, familyOf } from '../versions/addresses.ts';
import { parseNetworkList } from './parse.ts';
import { renderTemplate, type TemplateData } from './template.ts';

/** The file that a rendered template becomes. */
export const RENDERED_FILE = '10-berth-net.conflist';

/**
 * Renders the template for a pod CIDR (comma separated for dual stack), checks the outcome and writes it into the
 * configuration directory. Returns the path. Call it only while no network is ready: whoever has a network has chosen it.
 */
export async function writeFromTemplate(
  templateFile: string,
  podCidr: string,
  confDir: string,
): Promise<string> {
  const data = templateData(podCidr);
  const path = join(confDir, RENDERED_FILE);
  try {
    const text = renderTemplate(await readFile(templateFile, 'utf8'), data);
    await parseNetworkList(text, { source: path });
    await makeDirectory(confDir, 0o755);
    await writeFileAtomic(path, text, { mode: 0o644 });
    return path;
  } catch (error) {
    throw wrap(`failed to generate CNI configuration from template "${templateFile}"`, error);
  }
}

/** The names that a template may use: as containerd's. Throws INVALID_ARGUMENT naming the CIDR. */
export function templateData(podCidr: string): TemplateData {
  const ranges = podCidr.split(',').map((range) => range.trim());
  for (const range of ranges) {
    if (canonicalCidr(range) === undefined) throw invalid('pod_cidr', `invalid CIDR address: ${range}`);
  }
  const families = new Set(ranges.map(familyOf));
  const routes = [...(families.has(4) ? ['0.0.0.0/0'] : []), ...(families.has(6) ? ['::/0'] : [])];
  return { PodCIDR: ranges[0] ?? '', PodCIDRRanges: ranges, Routes: routes };
}
