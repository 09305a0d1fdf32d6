/** A platform as images name it. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Such as `v8`; '' for none. */
  readonly variant: string;
}

/** Go's names for what Node calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, Omit<Platform, 'os'>>> = {
  x64: { architecture: 'amd64', variant: '' },
  ia32: { architecture: '386', variant: '' },
  arm64: { architecture: 'arm64', variant: 'v8' },
  arm: { architecture: 'arm', variant: 'v7' },
  ppc64: { architecture: 'ppc64le', variant: '' },
};

/** This machine's platform. */
export function hostPlatform(arch: string = process.arch): Platform {
  return { os: 'linux', ...(ARCHITECTURES[arch] ?? { architecture: arch, variant: '' }) };
}

/** What a host of some architecture runs besides, as containerd has it. */
const BESIDES: Readonly<Record<string, Omit<Platform, 'os'>>> = {
  amd64: { architecture: '386', variant: '' },
  arm64: { architecture: 'arm', variant: 'v8' },
};
/** More than variants are apart. */
const BESIDES_DISTANCE = 100;

/**
 * How well an image of some platform runs on the host's; undefined when it does not, else lower is better. An arm host runs
 * the variants up to its own; of amd64 the plain level is taken. A host of 64 bits runs what has 32, too.
 */
export function distance(offered: Platform, host: Platform): number | undefined {
  if (offered.os !== host.os) return undefined;
  if (offered.architecture !== host.architecture) {
    const besides = BESIDES[host.architecture];
    const rest = besides === undefined ? undefined : distance(offered, { os: host.os, ...besides });
    return rest === undefined ? undefined : rest + BESIDES_DISTANCE;
  }
  const wanted = level(host);
  const given = level(offered);
  if (given > wanted) return undefined;
  return wanted - given;
}

/** `v7` is 7. Without a variant it is what the architecture means by that. */
function level({ architecture, variant }: Platform): number {
  const bare: Readonly<Record<string, number>> = { arm64: 8, arm: 7, amd64: 1 };
  const found = /^v(\d+)/.exec(variant)?.[1];
  return found === undefined ? (bare[architecture] ?? 0) : Number(found);
}

/** `linux/arm64/v8`, as people write it. */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/');
}
