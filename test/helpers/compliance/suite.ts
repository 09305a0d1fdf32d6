import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../../src/lib/json.ts';
import { isJsonObject } from '../../../src/lib/json.ts';
import { Cleanup } from '../cleanup.ts';
import { Scratch } from '../fixture.ts';
import { comparable, difference, fileState, linesOf, networkState } from '../network-state.ts';
import { TestNode } from '../node.ts';
import { areReferencePluginsLater, callWell, type Form, type PluginCall } from '../plugin-process.ts';
import type { ComplianceCase } from './cases.ts';

/** A machine with one container's namespace, and a directory for what plugins keep. */
interface Machine {
  readonly host: TestNode;
  readonly pod: TestNode;
  readonly dir: string;
}

/** Who makes and who takes down; the latter is also asked whether what the other made is right. */
export type Pair = readonly [maker: Form, taker: Form];

const round: readonly Pair[] = [
  ['in-process', 'reference'],
  ['reference', 'berth'],
  ['berth', 'in-process'],
];

/** The plain case of each plugin is run with all pairs, the others once around. */
export function allForms({ name }: ComplianceCase): readonly Pair[] {
  const back = round.map(([maker, taker]): Pair => [taker, maker]);
  return name.includes(',') ? round : [...round, ...back];
}

/** As a worker thread of the daemon runs them, against the executables: where starting Node takes long. */
export function inProcess(test: ComplianceCase): readonly Pair[] {
  if (!hasReference(test)) return [['in-process', 'in-process']];
  return [
    ['in-process', 'reference'],
    ['reference', 'in-process'],
  ];
}

function hasReference({ isLater }: ComplianceCase): boolean {
  return isLater !== true || areReferencePluginsLater();
}

function newestVersion(): string {
  return areReferencePluginsLater() ? '1.1.0' : '1.0.0';
}

/** How often the states are looked at, 100 ms apart. */
const SETTLE_TRIES = 100;

/** The suite that each case has to pass; call it inside `describe`. */
export function complianceSuite(
  cases: readonly ComplianceCase[],
  pairsOf: (test: ComplianceCase) => readonly Pair[],
): void {
  let cleanup: Cleanup;
  beforeEach(() => {
    cleanup = new Cleanup();
  });
  afterEach(() => cleanup[Symbol.asyncDispose]());

  async function machine({ prepare }: ComplianceCase): Promise<Machine> {
    const host = cleanup.use(await TestNode.create());
    const pod = cleanup.use(await TestNode.create());
    const { path: dir } = cleanup.use(await Scratch.create());
    for (const name of ['ipam', 'data']) mkdirSync(join(dir, name));
    for (const command of prepare ?? []) await host.run('sh', '-c', command);
    return { host, pod, dir };
  }

  /** The configuration with the machine's own paths in it. */
  function configOf(on: Machine, plugin: JsonObject, version: string, prevResult?: Json): JsonObject {
    const config = JSON.parse(JSON.stringify(plugin).replaceAll('DIR', on.dir)) as JsonObject;
    const previous = prevResult === undefined ? {} : { prevResult };
    return { cniVersion: version, name: 'net', ...config, ...previous };
  }

  async function run(
    on: Machine,
    form: Form,
    verb: PluginCall['verb'],
    test: ComplianceCase,
    previous?: Json,
  ) {
    const { plugins, cniVersion = newestVersion(), args = '' } = test;
    let result = previous;
    for (const plugin of verb === 'DEL' ? plugins.toReversed() : plugins) {
      const config = configOf(on, plugin, cniVersion, result);
      const call: PluginCall = { verb, type: plugin['type'], netns: on.pod.path, config, args };
      const output = await callWell(on.host, form, call);
      if (verb === 'ADD') result = output;
    }
    return result;
  }

  /** The result, with the namespace's path and what is random taken out. */
  function resultOf(on: Machine, output: Json | undefined): Json {
    const text = JSON.stringify(output ?? {}).replaceAll(on.pod.path, 'NETNS');
    const { dns, ...rest } = JSON.parse(text) as JsonObject;
    return comparable({ ...rest, ...(isJsonObject(dns) && Object.keys(dns).length > 0 ? { dns } : {}) });
  }

  async function stateOf(on: Machine): Promise<string[]> {
    const [host, pod] = await Promise.all([networkState(on.host), networkState(on.pod)]);
    return linesOf({ host, pod, files: fileState(on.dir) }).map((line) =>
      line
        .replaceAll(on.pod.name, 'POD')
        .replaceAll(on.dir, 'DIR')
        .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC'),
    );
  }

  /** Compares once both have settled: carriers, addresses and port states change a while after the plugins have ended. */
  async function assertSameState(one: Machine, other: Machine, what: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const [ours, theirs] = await Promise.all([stateOf(one), stateOf(other)]);
      const [left, missing] = [difference(ours, theirs), difference(theirs, ours)];
      if (left.length + missing.length === 0) return;
      if (attempt === SETTLE_TRIES) assert.deepEqual({ left, missing }, { left: [], missing: [] }, what);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  for (const test of cases) {
    const checks = (test.cniVersion ?? newestVersion()) >= '0.4.0';
    const known = pairsOf(test).filter((pair) => hasReference(test) || !pair.includes('reference'));
    const baseline: Form = hasReference(test) ? 'reference' : 'in-process';
    for (const [maker, taker] of known) {
      it(`${test.name}: ${taker} checks and takes down what ${maker} made, which is as the reference makes it`, async function () {
        this.timeout(600_000);
        const ours = await machine(test);
        const pure = await machine(test);
        const result = await run(ours, maker, 'ADD', test);
        const wanted = await run(pure, baseline, 'ADD', test);
        assert.deepEqual(resultOf(ours, result), resultOf(pure, wanted));
        await assertSameState(ours, pure, 'after ADD');
        if (checks) await run(ours, taker, 'CHECK', test, result);
        const ender = (form: Form): Form => (test.needsOurDel === true ? 'in-process' : form);
        await run(ours, ender(taker), 'DEL', test, checks ? result : undefined);
        await run(pure, ender(baseline), 'DEL', test, checks ? wanted : undefined);
        await assertSameState(ours, pure, 'after DEL');
        // Once more is success; some reference plugins know better.
        await run(ours, 'in-process', 'DEL', test, checks ? result : undefined);
      });
    }
  }
}
