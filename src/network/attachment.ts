import type { JsonObject } from '../lib/json.ts';
import { isJsonObject } from '../lib/json.ts';
import type { Attachment, NetworkList, PluginConf, Result } from './cni/types.ts';

/**
 * One attachment of a sandbox as its record keeps it: the configuration and arguments of the ADD, which the DEL is given
 * again whatever has become of /etc/cni/net.d since.
 */
export interface AttachmentRecord {
  readonly network: NetworkList;
  readonly ifName: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: JsonObject;
}

/** The attachment as the chain wants it; netns is '' once the namespace is gone. */
export function attachmentOf(record: AttachmentRecord, containerId: string, netns: string): Attachment {
  return { ...record, containerId, netns };
}

/** The worker thread that these attachments are begun on, as an affinity (see BuiltinInvoke); undefined without attachments. */
export function threadOf(attachments: readonly AttachmentRecord[]): string | undefined {
  return attachments[0]?.network.name;
}

/** The bare addresses that a result holds. */
export function addressesOf(result: Result | undefined): string[] {
  return (result?.ips ?? []).map((ip) => ip.address.split('/')[0] ?? '');
}

/**
 * Host ports that these plugins of an attachment, by their indices, were asked for, as `tcp/8080` or `tcp/127.0.0.1/8080`. A plugin is
 * told of them only when it declares that it can map ports.
 */
export function hostPortsOf(record: AttachmentRecord, plugins: readonly number[]): string[] {
  return plugins.some((index) => mapsPorts(record.network.plugins[index])) ? wantedPorts(record) : [];
}

/** Host ports that the pod with these attachments wants and does not get: no plugin of its networks declares that it can map ports. */
export function unmappedPorts(attachments: readonly AttachmentRecord[]): string[] {
  const [first] = attachments;
  const areMapped = attachments.some(({ network }) => network.plugins.some(mapsPorts));
  // All attachments of a pod are told of the same ports.
  return first === undefined || areMapped ? [] : wantedPorts(first);
}

function wantedPorts({ capabilityArgs }: AttachmentRecord): string[] {
  const mappings = capabilityArgs['portMappings'];
  if (!Array.isArray(mappings)) return [];
  return mappings.filter(isJsonObject).map((mapping) => {
    const { protocol, hostIP, hostPort } = mapping;
    const parts = [protocol, hostIP, hostPort].filter(
      (part) => typeof part === 'string' || typeof part === 'number',
    );
    return parts.filter((part) => part !== '').join('/');
  });
}

function mapsPorts(plugin: PluginConf | undefined): boolean {
  const capabilities = plugin?.['capabilities'];
  return isJsonObject(capabilities) && capabilities['portMappings'] === true;
}
