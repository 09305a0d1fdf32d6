// Makes new network and mount namespaces fit for tests, then runs the command that it is given there: loopback is up, and
// pinned network namespaces are its own, so that `ip netns` of others is neither seen nor in the way.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

function must(command, args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`failed to run "${[command, ...args].join(' ')}"`);
}

must('ip', ['link', 'set', 'lo', 'up']);
mkdirSync('/run/netns', { recursive: true });
must('mount', ['-t', 'tmpfs', 'netns', '/run/netns']);

const [command, ...args] = process.argv.slice(2);
const result = spawnSync(command, args, { stdio: 'inherit' });
if (result.error) throw result.error;
process.exitCode = result.status ?? 128;
