// Runs pods with a kubelet, built from the pinned module in test/conformance/kubelet-tools, on a daemon of this clone. Needs
// root, Go and a Debian mirror. node .ci/conformance-kubelet.mjs [mocha arguments]
import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { goTools, requireGo } from './go-tools.mjs';
import { compileTests, mocha } from './lib.mjs';

requireGo();
await bootstrap('conformance');
compileTests();
const tools = goTools('kubelet-tools', {
  kubelet: ['build', '-ldflags', '-s -w', 'k8s.io/kubernetes/cmd/kubelet'],
});
// Here, for in the network namespace of the tests there is no mirror to fetch from.
const { buildPrograms } = await import('../.build/test/conformance/images/programs.js');
await buildPrograms();
process.exitCode = mocha(['conformance/kubelet/**/*.spec.js'], process.argv.slice(2), {
  KUBELET: join(tools, 'kubelet'),
});
