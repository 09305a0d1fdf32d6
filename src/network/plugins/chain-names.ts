/** Names of chains and comments that the reference plugins give, so that either can find the other's rules. */
import { createHash } from 'node:crypto';

/** The longest chain name that the reference plugins make; iptables allows 28 bytes. */
const MAX_CHAIN_LENGTH = 28;
const MAX_COMMENT_LENGTH = 255;

/** The first `length` characters of the prefix and the SHA-512 of the text, in hexadecimal. */
export function hashWithPrefix(length: number, prefix: string, text: string): string {
  return `${prefix}${createHash('sha512').update(text).digest('hex')}`.slice(0, length);
}

/** The chain of one container's attachment to one network: `CNI-<kind><hash>`. */
export function chainName(kind: '' | 'DN-' | 'SN-', network: string, containerId: string): string {
  return hashWithPrefix(MAX_CHAIN_LENGTH, `CNI-${kind}`, network + containerId);
}

/** `name: "<network>" id: "<container>"`, cut to what iptables takes. */
export function iptablesComment(network: string, containerId: string, before = ''): string {
  const comment = `${before}name: "${network}" id: "${containerId}"`;
  return comment.length <= MAX_COMMENT_LENGTH ? comment : `${comment.slice(0, MAX_COMMENT_LENGTH - 2)}...`;
}
