// Brings loopback up in a new network namespace, then runs the command that it is given there.
import { spawnSync } from 'node:child_process';

const [command, ...args] = process.argv.slice(2);
const up = spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'inherit' });
if (up.status !== 0) throw new Error('failed to bring loopback up');
const result = spawnSync(command, args, { stdio: 'inherit' });
if (result.error) throw result.error;
process.exitCode = result.status ?? 128;
