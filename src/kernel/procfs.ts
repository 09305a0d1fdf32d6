/**
 * A procfs of our own to look sysctls up in. The kernel keeps the names below /proc/sys/net of all network namespaces in one chain
 * for each, until memory runs short, and walks over all of them at a namespace's first look-up: 0.5 ms for what is 0.07 ms, on a
 * node with 600 pods. Each procfs has chains of its own; one that is young has short ones.
 */
import { close, fsconfigCreate, fsmount, fsopen } from './libc.ts';
import { SyscallError } from './errno.ts';

/** A new one takes 0.08 ms. */
const LOOK_UPS_MOST = 32;
const SHARED = '/proc';

let own: { readonly fd: number; lookUps: number } | undefined;
let isRefused = false;

/**
 * The root of a procfs as the calling thread may see it, good for one look-up; /proc where the kernel lets us have none. It is in no
 * mount namespace, and ends with the process.
 */
export function procfs(): string {
  if (own !== undefined && own.lookUps >= LOOK_UPS_MOST) {
    close(own.fd);
    own = undefined;
  }
  if (own === undefined && !isRefused) own = create();
  if (own === undefined) return SHARED;
  own.lookUps += 1;
  return `${SHARED}/self/fd/${own.fd}`;
}

function create(): typeof own {
  try {
    const context = fsopen('proc');
    try {
      fsconfigCreate(context);
      return { fd: fsmount(context), lookUps: 0 };
    } finally {
      close(context);
    }
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // An old kernel, or a container whose /proc has something hidden.
    isRefused = true;
    return undefined;
  }
}
