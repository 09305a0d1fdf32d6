// Writes the table of built-in plugins into the READMEs, from the code; with --check it only says whether they are right.
//   node .ci/gen-plugin-table.mjs [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { root } from './lib.mjs';

await bootstrap('build');
const load = (module) => import(pathToFileURL(join(root, 'dist/network/plugins', module)).href);
const { createRegistry } = await load('registry.js');
const { markdownTable, pluginFacts } = await load('table.js');
const table = markdownTable(pluginFacts(createRegistry()));

for (const file of ['README.md', 'src/network/plugins/README.md']) {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const wanted = text.replace(
    /(<!-- plugins -->\n)[^]*?(\n<!-- end of plugins -->)/,
    (_, begin, end) => `${begin}${table}${end}`,
  );
  if (wanted === text) continue;
  if (process.argv.includes('--check')) throw new Error(`${file} has another table: npm run gen:plugins`);
  writeFileSync(path, wanted);
  console.log(`wrote ${file}`);
}
