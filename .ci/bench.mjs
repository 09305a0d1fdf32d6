// Measures Berth against containerd's CRI and against the bare kernel work: node .ci/bench.mjs [--quick] [--help];
// each CNI plugin against its executable: node .ci/bench.mjs plugins
import { bootstrap } from './bootstrap.mjs';
import { compileTests, isRoot, runIsolated } from './lib.mjs';

if (!isRoot) throw new Error('the benchmark needs root');
await bootstrap('bench');
compileTests();
const [what, ...more] = process.argv.slice(2);
process.exitCode =
  what === 'plugins'
    ? runIsolated(['.build/test/bench/plugins.js', ...more])
    : runIsolated(['.build/test/bench/main.js', ...process.argv.slice(2)]);
