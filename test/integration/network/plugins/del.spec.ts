import { isJsonObject, type Json, type JsonObject } from '../../../../src/lib/json.ts';
import type { KnownKeys } from '../../../../src/network/plugins/config.ts';
import { createRegistry } from '../../../../src/network/plugins/registry.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { Scratch } from '../../../helpers/fixture.ts';
import { TestNode } from '../../../helpers/node.ts';
import { callWell } from '../../../helpers/plugin-process.ts';

/** What the protocol itself reads, before the plugin. */
const PROTOCOL: readonly string[] = ['cniVersion', 'name', 'type', 'prevResult'];
/** No plugin takes more than a few of these for one key. */
const VALUES: readonly Json[] = ['', 'no such', 'a\0b', 'x'.repeat(300), -1, 2 ** 40, 1.5, true, [], [7], {}];

/** The paths of a tree of keys. */
function pathsOf(keys: KnownKeys, above: readonly string[] = []): string[][] {
  return Object.entries(keys).flatMap(([name, below]) => {
    const path = [...above, name];
    return below === true ? [path] : [path, ...pathsOf(below, path)];
  });
}

function withValue(object: JsonObject, [name = '', ...rest]: readonly string[], value: Json): JsonObject {
  const inner = object[name];
  if (rest.length === 0) return { ...object, [name]: value };
  return { ...object, [name]: withValue(isJsonObject(inner) ? inner : {}, rest, value) };
}

/** A type that is a string names a plugin, which has to be there. */
function namesPlugin(path: readonly string[], value: Json): boolean {
  return path.at(-1) === 'type' && typeof value === 'string';
}

/** Values that file systems refuse: to an ADD, too. */
function isUnusablePath(path: readonly string[], value: Json): boolean {
  return (
    path.at(-1) === 'dataDir' && typeof value === 'string' && (value.includes('\0') || value.length > 255)
  );
}

describe('a DEL of which nothing was made', () => {
  let cleanup: Cleanup;
  let host: TestNode;
  let pod: TestNode;
  let dataDir: string;
  before(async () => {
    cleanup = new Cleanup();
    host = cleanup.use(await TestNode.create());
    pod = cleanup.use(await TestNode.create());
    dataDir = cleanup.use(await Scratch.create()).path;
  });
  after(() => cleanup[Symbol.asyncDispose]());

  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0' }],
    ips: [{ interface: 0, address: '10.9.0.7/24' }],
  };

  for (const plugin of createRegistry().values()) {
    // It asks its daemon, which knows the client by its name.
    if (plugin.type === 'dhcp') continue;
    it(`succeeds in ${plugin.type} whatever one key of the configuration holds`, async function () {
      this.timeout(60_000);
      const base = {
        cniVersion: '1.0.0',
        name: 'net',
        type: plugin.type,
        dataDir,
        prevResult,
        ipam: { type: 'host-local', dataDir },
      };
      for (const path of pathsOf(plugin.keys).filter(([top = '']) => !PROTOCOL.includes(top))) {
        for (const value of VALUES) {
          if (namesPlugin(path, value) || isUnusablePath(path, value)) continue;
          const config = withValue(base, path, value);
          for (const netns of ['', pod.path]) {
            await callWell(host, 'in-process', { verb: 'DEL', type: plugin.type, netns, config });
          }
        }
      }
    });
  }
});
