import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BerthError } from '../../../../../src/lib/errors.ts';
import { parseNetworkList, parseSinglePlugin } from '../../../../../src/network/cni/configuration/parse.ts';
import type { NetworkList } from '../../../../../src/network/cni/types.ts';

const bridge = { type: 'bridge' };

function parse(value: unknown): Promise<NetworkList> {
  return parseNetworkList(typeof value === 'string' ? value : JSON.stringify(value), {
    source: '/c/10.conflist',
  });
}

describe('a configuration list', () => {
  it('is read with every key of its plugins kept, unknown ones too', async () => {
    const text = JSON.stringify({
      name: 'net',
      cniVersion: '1.0.0',
      disableCheck: 'TRUE',
      disableGC: true,
      extra: 1,
      plugins: [
        { type: 'bridge', ipam: { type: 'host-local', x: [1] }, unknown: { y: null } },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    });
    assert.deepEqual(await parse(text), {
      name: 'net',
      cniVersion: '1.0.0',
      disableCheck: true,
      disableGC: true,
      plugins: [
        { type: 'bridge', ipam: { type: 'host-local', x: [1] }, unknown: { y: null } },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
      source: '/c/10.conflist',
      text,
    });
  });

  for (const [what, value, problem] of [
    ['no text', '', /^the file is empty$/],
    ['no object', '[]', /^expected an object, got an array$/],
    ['no name', { plugins: [bridge] }, /^no name$/],
    ['a name that is no string', { name: 1, plugins: [bridge] }, /^name: expected a string, got a number$/],
    ['an empty name', { name: '', plugins: [bridge] }, /^missing network name$/],
    ['a name that is a path', { name: '../x', plugins: [bridge] }, /^name: invalid characters/],
    ['plugins that are no array', { name: 'n', plugins: {} }, /^plugins: expected an array, got an object$/],
    ['no plugin in the list', { name: 'n', plugins: [] }, /^plugins: no plugins in list$/],
    ['no plugins at all', { name: 'n' }, /^no plugin configs found$/],
    ['nothing inlined', { name: 'n', loadOnlyInlinedPlugins: true }, /there is no 'plugins' key/],
    [
      'a plugin that is no object',
      { name: 'n', plugins: [bridge, 'x'] },
      /^plugins\[1\]: expected an object, got a string$/,
    ],
    ['a plugin without type', { name: 'n', plugins: [bridge, {}] }, /^plugins\[1\]: missing 'type'$/],
    [
      'a type that is a path',
      { name: 'n', plugins: [{ type: '../bin/sh' }] },
      /^plugins\[0\]: type: must be a bare name/,
    ],
    [
      'a type that is a directory',
      { name: 'n', plugins: [{ type: '..' }] },
      /^plugins\[0\]: type: must be a bare name/,
    ],
    [
      'an ipam type that is a path',
      { name: 'n', plugins: [{ type: 'bridge', ipam: { type: '/bin/sh' } }] },
      /^plugins\[0\]: ipam\.type: expected a bare name/,
    ],
    [
      'an ipam that is no object',
      { name: 'n', plugins: [{ type: 'bridge', ipam: 'x' }] },
      /^plugins\[0\]: ipam: expected an object, got a string$/,
    ],
    [
      'a capability that is no boolean',
      { name: 'n', plugins: [{ type: 'a', capabilities: { mac: 'yes' } }] },
      /^plugins\[0\]: capabilities\.mac: expected true or false/,
    ],
    [
      'a flag that is neither',
      { name: 'n', disableGC: 'maybe', plugins: [bridge] },
      /^disableGC: expected true or false/,
    ],
    [
      'a flag of another type',
      { name: 'n', disableCheck: 1, plugins: [bridge] },
      /^disableCheck: expected true or false, got a number$/,
    ],
    [
      'a version of another type',
      { name: 'n', cniVersion: 1, plugins: [bridge] },
      /^cniVersion: expected a string, got a number$/,
    ],
    ['a version that is none', { name: 'n', cniVersion: '1.x', plugins: [bridge] }, /^cniVersion: /],
    [
      'a version nobody made',
      { name: 'n', cniVersion: '0.5.0', plugins: [bridge] },
      /is no version of the specification/,
    ],
    [
      'a newer version',
      { name: 'n', cniVersion: '2.0.0', plugins: [bridge] },
      /"2\.0\.0" is newer than 1\.1\.0/,
    ],
    [
      'an entry of cniVersions that is no string',
      { name: 'n', cniVersions: ['1.0.0', 2], plugins: [bridge] },
      /^cniVersions\[1\]: expected a string/,
    ],
  ] as const) {
    it(`is refused with ${what}`, () =>
      assert.rejects(
        parse(value),
        (error: Error) => error instanceof BerthError && problem.test(error.message),
      ));
  }

  it('is used with the highest version that we speak', async () => {
    const versions = {
      name: 'n',
      cniVersion: '0.4.0',
      cniVersions: ['0.3.1', '1.0.0', '7.0.0'],
      plugins: [bridge],
    };
    assert.equal((await parse(versions)).cniVersion, '1.0.0');
    assert.equal((await parse({ name: 'n', plugins: [bridge] })).cniVersion, '0.1.0');
  });

  it('says in which line its JSON is wrong, and quotes nothing of it', async () => {
    const text = '{\n  "name": "n",\n  "password": "hunter2",\n  "plugins" [\n}';
    await assert.rejects(parse(text), (error: Error) => /^invalid JSON in line 4$/.test(error.message));
    await assert.rejects(parse('{\n "password": "hunter2",\n bad }'), (error: Error) =>
      /^invalid JSON in line 3$/.test(error.message),
    );
  });

  it('says that it may be truncated when it ends too early', async () => {
    const whole = JSON.stringify({ name: 'n', plugins: [{ type: 'bridge', ipam: { type: 'host-local' } }] });
    for (let length = 1; length < whole.length; length += 1) {
      await assert.rejects(
        parse(whole.slice(0, length)),
        (error: Error) => error.message.startsWith('invalid JSON') || error.message === 'the file is empty',
      );
    }
    await assert.rejects(parse(whole.slice(0, 30)), /truncated/);
  });

  it('reads type and capabilities of a plugin in whatever case', async () => {
    const { plugins } = await parse({
      name: 'n',
      plugins: [{ Type: 'bridge', Capabilities: { mac: true } }],
    });
    assert.deepEqual(plugins, [{ Capabilities: { mac: true }, type: 'bridge' }]);
  });

  it('has plugin files after those that stand in it, unless it wants only these', async () => {
    const pluginFiles = async (name: string) => [{ path: `/c/${name}/a.conf`, text: '{"type":"tuning"}' }];
    const text = JSON.stringify({ name: 'n', cniVersion: '1.0.0', plugins: [bridge] });
    const both = await parseNetworkList(text, { source: '', pluginFiles });
    assert.deepEqual(both.plugins, [bridge, { type: 'tuning' }]);
    assert.deepEqual((await parseNetworkList(both.text, { source: '', pluginFiles })).plugins, both.plugins);
    const none = await parseNetworkList('{"name":"n"}', { source: '', pluginFiles });
    assert.deepEqual(none.plugins, [{ type: 'tuning' }]);
    const only = JSON.stringify({ name: 'n', loadOnlyInlinedPlugins: 'true', plugins: [bridge] });
    assert.deepEqual((await parseNetworkList(only, { source: '', pluginFiles })).plugins, [bridge]);
    const broken = async () => [{ path: '/c/n/b.conf', text: '{}' }];
    await assert.rejects(
      parseNetworkList(text, { source: '', pluginFiles: broken }),
      /^BerthError: \/c\/n\/b\.conf: missing 'type'$/,
    );
  });

  it('is read or refused, whatever its text is, and never spoils a prototype', async () => {
    const keys = fc.constantFrom(
      'name',
      'plugins',
      'type',
      '__proto__',
      'constructor',
      'cniVersion',
      'cniVersions',
      'capabilities',
      'ipam',
      'toString',
    );
    const { tree } = fc.letrec<{ tree: unknown; leaf: unknown }>((tie) => ({
      leaf: fc.oneof(
        fc.constantFrom('n', 'bridge', '1.0.0', ''),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
      ),
      tree: fc.oneof(
        { maxDepth: 4 },
        tie('leaf'),
        fc.dictionary(keys, tie('tree')),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(tree, async (value) => {
        await parse(JSON.stringify(value)).catch((error: unknown) =>
          assert.ok(error instanceof BerthError, String(error)),
        );
        assert.equal(({} as Record<string, unknown>)['type'], undefined);
      }),
      { numRuns: 500 },
    );
    await assert.rejects(
      parse('{"name":"n","plugins":[{"__proto__":{"type":"bridge"}}]}'),
      /plugins\[0\]: missing 'type'/,
    );
  });

  it('is refused when it is nested without end', async () => {
    await assert.rejects(
      parse(`{"name":"n","plugins":[{"type":"a","x":${'['.repeat(5000)}${']'.repeat(5000)}}]}`),
      /nested deeper than 64/,
    );
  });
});

describe('a single plugin file', () => {
  it('becomes a list of one', () => {
    const list = parseSinglePlugin('{"name":"n","type":"bridge","cniVersion":"0.3.1","mtu":1}', '/c/a.conf');
    assert.equal(list.name, 'n');
    assert.equal(list.cniVersion, '0.3.1');
    assert.deepEqual(list.plugins, [{ name: 'n', cniVersion: '0.3.1', mtu: 1, type: 'bridge' }]);
    assert.deepEqual(JSON.parse(list.text), {
      name: 'n',
      cniVersion: '0.3.1',
      plugins: [{ name: 'n', type: 'bridge', cniVersion: '0.3.1', mtu: 1 }],
    });
  });

  it('reads name and version of a single plugin in whatever case, and no cniVersions: these are a list’s', () => {
    const text = '{"Name":"n","CNIVersion":"0.3.1","cniVersions":["1.0.0"],"type":"bridge"}';
    const list = parseSinglePlugin(text, '/c/a.conf');
    assert.deepEqual([list.name, list.cniVersion], ['n', '0.3.1']);
  });

  it('needs a type and a name', () => {
    assert.throws(() => parseSinglePlugin('{"name":"n"}', ''), /^BerthError: missing 'type'$/);
    assert.throws(() => parseSinglePlugin('{"type":"bridge"}', ''), /^BerthError: no name$/);
  });

  it('says where a list belongs', () => {
    assert.throws(
      () => parseSinglePlugin('{"name":"n","plugins":[]}', ''),
      /belongs into a file with the extension \.conflist/,
    );
  });
});
