// Runs crictl and critest, built from the pinned module in test/conformance/tools, against a daemon of this clone. The images
// that critest wants are made here, too. Needs root, Go and a Debian mirror. node .ci/conformance.mjs [mocha arguments]
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { goModule, goTools, requireGo } from './go-tools.mjs';
import { compileTests, mocha } from './lib.mjs';

requireGo();
await bootstrap('conformance');
compileTests();
const tools = goTools('tools', {
  crictl: ['build', 'sigs.k8s.io/cri-tools/cmd/crictl'],
  critest: ['test', '-c', 'sigs.k8s.io/cri-tools/cmd/critest'],
});
// Here, for in the network namespace of the tests there is no mirror to fetch from.
const { buildPrograms } = await import('../.build/test/conformance/images/programs.js');
await buildPrograms();
process.exitCode = mocha(['conformance/*.spec.js'], process.argv.slice(2), {
  CRICTL: join(tools, 'crictl'),
  CRITEST: join(tools, 'critest'),
  CRI_API_PROTO: join(goModule('tools', 'k8s.io/cri-api'), 'pkg/apis/runtime/v1/api.proto'),
});
