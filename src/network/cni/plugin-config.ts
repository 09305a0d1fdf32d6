/** What a plugin is given on stdin (CNI specification 1.1.0, section 4, "Deriving request configuration"). */
import { isJsonObject, type JsonObject } from '../../lib/json.ts';
import { field, withFields } from './fields.ts';
import type { NetworkList, PluginConf, Result } from './types.ts';
import { fromResult } from './versions/convert.ts';

/**
 * The plugin's object with name, version, previous result and the capability arguments that it declares. A
 * `capabilities` key stays, as libcni leaves it; arguments replace a runtimeConfig that the file brought.
 */
export function requestConfig(
  network: NetworkList,
  plugin: PluginConf,
  from: { readonly prevResult?: Result | undefined; readonly capabilityArgs: JsonObject },
): JsonObject {
  const runtimeConfig = declaredArgs(plugin, from.capabilityArgs);
  return withFields(plugin, {
    name: network.name,
    cniVersion: network.cniVersion,
    ...(from.prevResult === undefined ? {} : { prevResult: fromResult(from.prevResult, network.cniVersion) }),
    ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
  });
}

/** As for STATUS and GC, which concern no attachment: name, version, and what the verb adds. */
export function networkConfig(network: NetworkList, plugin: PluginConf, added: JsonObject = {}): JsonObject {
  return withFields(plugin, { name: network.name, cniVersion: network.cniVersion, ...added });
}

function declaredArgs(plugin: PluginConf, capabilityArgs: JsonObject): JsonObject | undefined {
  const capabilities = field(plugin, 'capabilities');
  if (!isJsonObject(capabilities)) return undefined;
  const given = Object.entries(capabilityArgs).filter(
    ([capability]) => Object.hasOwn(capabilities, capability) && capabilities[capability] === true,
  );
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
