// Measures Berth against containerd's CRI, the bare kernel work and the CNI executables: node .ci/bench.mjs [--quick] [--help]
import { bootstrap } from './bootstrap.mjs';
import { compileTests, isRoot, runIsolated } from './lib.mjs';

if (!isRoot) throw new Error('the benchmark needs root');
await bootstrap('bench');
compileTests();
process.exitCode = runIsolated(['.build/test/bench/main.js', ...process.argv.slice(2)]);
