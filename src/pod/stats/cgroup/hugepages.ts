import { join } from 'node:path';
import { readCount, subdirectories } from './files.ts';
import { type Cgroup, directoryOf } from './trees.ts';

/** What is in use of one size of huge pages. */
export interface HugepageReading {
  /** `2MB`, `1GB`. */
  readonly pageSize: string;
  readonly usage: bigint;
  /** The most that ever was; v2 does not tell. */
  readonly peak: bigint | undefined;
}

const SIZES = '/sys/kernel/mm/hugepages';

/** By page size; those that the hierarchy does not count are absent. */
export function readHugepages(cgroup: Cgroup, sizes = pageSizes()): HugepageReading[] {
  const at = directoryOf(cgroup, 'hugetlb');
  if (at === undefined) return [];
  const [current, most] =
    at.version === 1 ? ['usage_in_bytes', 'max_usage_in_bytes'] : ['current', undefined];
  return sizes.flatMap((pageSize) => {
    const usage = readCount(join(at.directory, `hugetlb.${pageSize}.${current}`));
    if (usage === undefined) return [];
    const peak =
      most === undefined ? undefined : readCount(join(at.directory, `hugetlb.${pageSize}.${most}`));
    return [{ pageSize, usage, peak }];
  });
}

/** The sizes of huge pages that the machine has, as cgroup files name them: `2MB` for `hugepages-2048kB`. */
function pageSizes(): string[] {
  return subdirectories(SIZES).flatMap((path) => {
    const kilobytes = Number(/hugepages-(\d+)kB$/.exec(path)?.[1]);
    if (!Number.isInteger(kilobytes)) return [];
    if (kilobytes >= 1 << 20) return [`${kilobytes >> 20}GB`];
    return [kilobytes >= 1 << 10 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`];
  });
}
