import { packageVersion } from '../lib/package-root.ts';
import { defineCommand } from './command.ts';
import { Exit } from './exit.ts';
import { json } from './table.ts';

export const command = defineCommand({
  name: 'version',
  summary: 'Print the version of this program',
  arity: [0, 0],
  options: { json: { type: 'boolean', help: 'as JSON' } },
  async run(values, _positionals, context) {
    const version = packageVersion();
    context.stdout(values.json ? json({ version, node: process.version }) : `berth ${version}\n`);
    return Exit.ok;
  },
});
