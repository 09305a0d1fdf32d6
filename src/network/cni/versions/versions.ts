/** The versions of the CNI specification, and their order. */

/** The newest version that Berth speaks. */
export const CURRENT_VERSION = '1.1.0';

/** Every version that Berth speaks, oldest first. */
export const SUPPORTED_VERSIONS: readonly string[] = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  CURRENT_VERSION,
];

/** What an absent or empty cniVersion means (specification 0.2.0, "Parameters"). */
export const VERSION_WHEN_EMPTY = '0.1.0';

/**
 * The three numbers of a version; missing ones are 0, and '' is 0.1.0.
 * Throws a plain Error for anything else.
 */
export function parseVersion(version: string): readonly [number, number, number] {
  const parts = (version === '' ? VERSION_WHEN_EMPTY : version).split('.');
  if (parts.length > 3) throw new Error(`invalid version "${version}": too many parts`);
  const numbers = parts.map((part) => {
    if (!/^\d{1,9}$/.test(part)) throw new Error(`invalid version "${version}": "${part}" is not a number`);
    return Number(part);
  });
  return [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0];
}

/** Negative when a is older than b, 0 when they are the same, positive when it is newer. */
export function compareVersions(a: string, b: string): number {
  const [majorA, minorA, patchA] = parseVersion(a);
  const [majorB, minorB, patchB] = parseVersion(b);
  return majorA - majorB || minorA - minorB || patchA - patchB;
}

/** True when the version is `least` or newer. */
export function isAtLeast(version: string, least: string): boolean {
  return compareVersions(version, least) >= 0;
}

export function isSupported(version: string): boolean {
  return SUPPORTED_VERSIONS.includes(version);
}

/**
 * The version that a list is used with: the highest of `cniVersions` and `cniVersion` that is not newer than ours;
 * without a candidate, `cniVersion` as it stands (specification 1.1.0, "Network configuration").
 */
export function pickVersion(cniVersion: string, cniVersions: readonly string[]): string {
  const offered = cniVersion === '' ? cniVersions : [...cniVersions, cniVersion];
  if (cniVersions.length === 0) return cniVersion;
  const usable = offered.filter((version) => compareVersions(version, CURRENT_VERSION) <= 0);
  return usable.sort(compareVersions).at(-1) ?? cniVersion;
}
