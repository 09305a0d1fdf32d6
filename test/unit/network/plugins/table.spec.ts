import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRegistry } from '../../../../src/network/plugins/registry.ts';
import { markdownTable, pluginFacts } from '../../../../src/network/plugins/table.ts';
import { pluginTypes } from '../../../../src/network/plugins/types.ts';

const root = fileURLToPath(new URL('../../../../../', import.meta.url));

describe('the table of built-in plugins', () => {
  const facts = pluginFacts(createRegistry());

  it('has every plugin that is named as built in, and no other', () => {
    assert.deepEqual(
      facts.map(({ type }) => type),
      pluginTypes,
    );
  });

  for (const file of ['README.md', 'src/network/plugins/README.md']) {
    it(`stands in ${file} as the code has it (npm run gen:plugins)`, () => {
      const text = readFileSync(`${root}${file}`, 'utf8');
      assert.ok(text.includes(`<!-- plugins -->\n${markdownTable(facts)}\n<!-- end of plugins -->`));
    });
  }

  it('says from which version on a plugin serves, and which verbs', () => {
    const [bandwidth] = facts;
    assert.deepEqual(bandwidth, {
      type: 'bandwidth',
      keys: ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'],
      verbs: ['ADD', 'DEL', 'CHECK', 'GC', 'VERSION'],
      versions: '0.3.0 – 1.1.0',
    });
  });

  it('goes with a page for each plugin', () => {
    const missing = pluginTypes.filter((type) =>
      ['main', 'ipam', 'meta'].every(
        (kind) => !existsSync(`${root}src/network/plugins/${kind}/${type}/README.md`),
      ),
    );
    assert.deepEqual(missing, []);
  });
});
