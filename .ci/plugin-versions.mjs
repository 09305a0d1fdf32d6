// Compares the built-in plugins with the reference plugins of Debian's later suite, as `npm test` does with those of Debian 12: three
// forms that give the same pod and take down what another made. Needs root and a Debian mirror.
//   node .ci/plugin-versions.mjs [mocha arguments]
import { bootstrap } from './bootstrap.mjs';
import { fail } from './later-debian.mjs';
import { laterPlugins } from './later-plugins.mjs';
import { compileTests, isRoot, mocha } from './lib.mjs';

const specs = ['compliance', 'interchange', 'portmap', 'masquerade', 'garbage', 'host-local-contention'];

if (!isRoot) fail('the tests of plugins need root');
await bootstrap('test');
compileTests();
const globs = [
  ...specs.map((name) => `integration/network/plugins/${name}.spec.js`),
  'integration/network/cni/reference-plugins.spec.js',
];
process.exitCode = mocha(globs, process.argv.slice(2), { BERTH_REFERENCE_PLUGINS: laterPlugins() });
