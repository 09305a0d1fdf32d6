import { invalid } from '../../lib/errors.ts';
import type { Attachment } from './types.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** True for what may be a network name or a container id (CNI specification 1.1.0, section 2). */
export function isCniName(name: string): boolean {
  return NAME.test(name);
}

/** True for what the kernel takes as an interface name. */
export function isInterfaceName(name: string): boolean {
  return /^[^/:\s]{1,15}$/.test(name) && Buffer.byteLength(name) <= 15 && name !== '.' && name !== '..';
}

/** Throws INVALID_ARGUMENT when an attachment names something that must not become a path or an interface. */
export function checkAttachment(attachment: Attachment): void {
  if (!isCniName(attachment.containerId))
    throw invalid('container id', `invalid characters in "${attachment.containerId}"`);
  if (!isCniName(attachment.network.name))
    throw invalid('network name', `invalid characters in "${attachment.network.name}"`);
  if (!isInterfaceName(attachment.ifName))
    throw invalid('interface name', `"${attachment.ifName}" is no interface name`);
}
