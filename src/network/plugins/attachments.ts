import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { arrayAt, stringAt, wrongType } from './config.ts';

export interface ValidAttachment {
  readonly containerId: string;
  readonly ifName: string;
}

/**
 * The attachments that a GC must keep. The specification names the key `cni.dev/valid-attachments`, the reference library
 * `cni.dev/attachments`. Undefined when the configuration has neither: then nothing is known to be stale.
 */
export function validAttachments(config: JsonObject): ValidAttachment[] | undefined {
  const path = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find(
    (name) => arrayAt(config, name) !== undefined,
  );
  if (path === undefined) return undefined;
  return (arrayAt(config, path) ?? []).map((item, index) => {
    if (!isJsonObject(item)) throw wrongType(`${path}[${index}]`, 'an object');
    return { containerId: stringAt(item, 'containerID') ?? '', ifName: stringAt(item, 'ifname') ?? '' };
  });
}
