import { parseArgs } from 'node:util';
import { isMet } from './budgets.ts';
import type { Budget } from './budgets.ts';
import { measureContainers } from './containers/section.ts';
import { measurePlugins } from './plugins.ts';
import { measureSandboxes } from './sandboxes.ts';
import { say, type Scale, type Section } from './section.ts';
import { measureStreaming } from './streaming/section.ts';
import { budgetTable } from './tables.ts';
import { measureThroughput } from './throughput/section.ts';

const sections: Readonly<Record<string, Section>> = {
  sandboxes: measureSandboxes,
  containers: measureContainers,
  streaming: measureStreaming,
  plugins: measurePlugins,
  throughput: measureThroughput,
};

const usage = `usage: npm run bench -- [--quick] [--pods N] [--only SECTION[,SECTION]]
  --quick    fewer runs, and 50 pods present instead of 500
  --pods N   so many pods present where a row is about a full node
  --only S   these sections: ${Object.keys(sections).join(', ')}
Exits with 0 if all budgets are met.`;

function scaleOf(values: { quick?: boolean; pods?: string }): Scale {
  const quick = values.quick === true;
  const pods = values.pods === undefined ? (quick ? 50 : 500) : Number(values.pods);
  if (!Number.isInteger(pods) || pods < 1) throw new Error('--pods needs a positive number');
  return { quick, pods };
}

function chosen(only: string | undefined): [string, Section][] {
  if (only === undefined) return Object.entries(sections);
  return only.split(',').map((name) => {
    const section = sections[name];
    if (section === undefined)
      throw new Error(`unknown section "${name}", one of: ${Object.keys(sections).join(', ')}`);
    return [name, section];
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      pods: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    say(usage);
    return 0;
  }
  const scale = scaleOf(values);
  const rows: Budget[] = [];
  for (const [name, section] of chosen(values.only)) {
    say(`\n== ${name}`);
    rows.push(...(await section(scale)));
  }
  say(`\n${budgetTable(rows)}`);
  return rows.every(isMet) ? 0 : 1;
}

process.exitCode = await main();
