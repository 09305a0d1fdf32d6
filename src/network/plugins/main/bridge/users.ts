import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isJsonObject } from '../../../../lib/json.ts';
import { type CachedAttachment, decodeCached } from '../../../cni/cache.ts';

const DEFAULT_CACHE_DIR = '/var/lib/cni';
/** Bounds for reading what others wrote: files, and bytes of one. */
const FILES_MOST = 10_000;
const BYTES_MOST = 1 << 20;
/** How many are named: kubelet shows the text to people. */
const NAMED_MOST = 10;

/**
 * Whose the ports of a bridge are, in words: pods where libcni's cached results tell, of whatever runtime, else the container or the port
 * alone. That nothing can be read is no error: this explains one.
 */
export function usersOf(ports: readonly string[], cacheDir = DEFAULT_CACHE_DIR): string {
  const owners = new Map<string, string>();
  for (const entry of cachedAttachments(`${cacheDir}/results`)) {
    for (const { name, sandbox } of interfacesOf(entry)) {
      if ((sandbox ?? '') === '' && name !== undefined) owners.set(name, ownerOf(entry));
    }
  }
  const users = ports.map((port) =>
    owners.has(port) ? `${owners.get(port) ?? ''} (${port})` : `port ${port}`,
  );
  const more = users.length > NAMED_MOST ? ` and ${users.length - NAMED_MOST} more` : '';
  return `in use by ${users.slice(0, NAMED_MOST).join(', ')}${more}, which have to go first`;
}

function cachedAttachments(directory: string): CachedAttachment[] {
  try {
    const names = readdirSync(directory).slice(0, FILES_MOST);
    return names.flatMap((name) => readCached(`${directory}/${name}`) ?? []);
  } catch {
    return [];
  }
}

function readCached(path: string): CachedAttachment | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= BYTES_MOST ? decodeCached(readFileSync(path, 'utf8')) : undefined;
  } catch {
    // Gone meanwhile, as its pod.
    return undefined;
  }
}

function interfacesOf({ result }: CachedAttachment): { name?: string; sandbox?: string }[] {
  const interfaces: unknown = result?.['interfaces'];
  if (!Array.isArray(interfaces)) return [];
  return interfaces.filter(isJsonObject).map(({ name, sandbox }) => ({
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof sandbox === 'string' ? { sandbox } : {}),
  }));
}

/** Kubernetes' runtimes name the pod in CNI_ARGS. */
function ownerOf({ args, containerId }: CachedAttachment): string {
  const named = new Map(args);
  const [namespace, name] = [named.get('K8S_POD_NAMESPACE'), named.get('K8S_POD_NAME')];
  return namespace === undefined || name === undefined
    ? `container ${containerId}`
    : `pod ${namespace}/${name}`;
}
