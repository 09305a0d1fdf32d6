import type { PodSandbox__Output } from '../../gen/runtime/v1/PodSandbox.ts';
import { BerthError } from '../../lib/errors.ts';

/**
 * The pod that a person means: by id, by the beginning of an id that no other has, or by `namespace/name`. Of several
 * sandboxes with one name it is the ready one, else the newest. Throws NOT_FOUND, or INVALID_ARGUMENT for a prefix
 * that several ids share.
 */
export function findPod(given: string, pods: readonly PodSandbox__Output[]): PodSandbox__Output {
  const found = given.includes('/') ? byName(given, pods) : byId(given, pods);
  if (found === undefined) throw new BerthError('NOT_FOUND', `no pod "${given}"`);
  return found;
}

function byName(given: string, pods: readonly PodSandbox__Output[]): PodSandbox__Output | undefined {
  return pods
    .filter((pod) => nameOf(pod) === given)
    .sort((a, b) => Number(isReady(b)) - Number(isReady(a)) || newestFirst(a, b))[0];
}

function byId(given: string, pods: readonly PodSandbox__Output[]): PodSandbox__Output | undefined {
  const found = pods.filter((pod) => given !== '' && pod.id.startsWith(given));
  const exact = found.find((pod) => pod.id === given);
  if (exact === undefined && found.length > 1) {
    throw new BerthError('INVALID_ARGUMENT', `"${given}" is the beginning of ${found.length} pods' ids`);
  }
  return exact ?? found[0];
}

/** `namespace/name`. */
export function nameOf(pod: Pick<PodSandbox__Output, 'metadata'>): string {
  return `${pod.metadata?.namespace ?? ''}/${pod.metadata?.name ?? ''}`;
}

export function isReady(pod: Pick<PodSandbox__Output, 'state'>): boolean {
  return pod.state === 'SANDBOX_READY';
}

/** Order of creation, the newest first. */
export function newestFirst(a: PodSandbox__Output, b: PodSandbox__Output): number {
  return Number(BigInt(b.createdAt) - BigInt(a.createdAt));
}

/** `READY`, `NOTREADY`. */
export function stateOf(pod: Pick<PodSandbox__Output, 'state'>): string {
  return pod.state.replace('SANDBOX_', '');
}
