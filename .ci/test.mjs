// Runs the tests: node .ci/test.mjs [all|unit|integration] [mocha arguments]
// Integration tests need root and a real kernel; without root `all` runs the unit tests and says so.
import { bootstrap } from './bootstrap.mjs';
import { compileTests, isRoot, mocha } from './lib.mjs';

const suites = {
  unit: ['unit/**/*.spec.js'],
  integration: ['integration/**/*.spec.js'],
};

const [which = 'all', ...more] = process.argv.slice(2);
if (which !== 'all' && !(which in suites))
  throw new Error(`unknown suite "${which}", one of: all, unit, integration`);
if (which === 'integration' && !isRoot) throw new Error('the integration tests need root');

const names = which === 'all' ? (isRoot ? ['unit', 'integration'] : ['unit']) : [which];
await bootstrap(names.includes('integration') ? 'test' : 'build');
compileTests();
if (which === 'all' && !isRoot) console.log('not root: the integration tests are left out');
process.exitCode = mocha(
  names.flatMap((name) => suites[name]),
  more,
);
