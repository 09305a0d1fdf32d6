import assert from 'node:assert/strict';
import type { Hints, PluginRequest, Remain } from '../../../../src/network/cni/invoke/invoke.ts';
import { CniError, type Step } from '../../../../src/network/cni/types.ts';
import { createContext, type ExecutableReply, type Place } from '../../../../src/network/plugins/context.ts';
import type { Plugin } from '../../../../src/network/plugins/plugin.ts';
import { type Call, fakePlugin, pluginArgs, someResult } from './fake-plugin.ts';

function place(
  plugins: readonly Plugin[],
  executable: ExecutableReply,
): Place & { steps: Step[]; requests: PluginRequest[] } {
  const steps: Step[] = [];
  const requests: PluginRequest[] = [];
  return {
    steps,
    requests,
    registry: new Map(plugins.map((plugin) => [plugin.type, plugin])),
    hints: { namespaceEnds: true },
    runExecutable: (request) => {
      requests.push(request);
      return executable;
    },
    log: () => undefined,
    onRemain: () => undefined,
    onStep: (step) => void steps.push(step),
  };
}

const notFound: ExecutableReply = {
  outcome: { error: new CniError(999, 'failed to find plugin "ipam" in path [/opt]') },
  provider: '',
  stderr: '',
};

describe('delegation', () => {
  it('runs a built-in that understands the configuration, and reports the step', () => {
    const calls: Call[] = [];
    const where = place([fakePlugin('ipam', calls)], notFound);
    assert.equal(createContext('bridge', where).delegate('ipam', 'ADD', pluginArgs({})), someResult);
    assert.equal(calls.length, 1);
    assert.equal(where.requests.length, 0);
    const [step] = where.steps;
    assert.equal(step?.provider, 'built-in');
    assert.equal(step.delegatedBy, 'bridge');
    assert.equal(step.verb, 'ADD');
    assert.ok(step.durationMs >= 0);
  });

  it('runs the executable when the built-in does not understand a key', () => {
    const calls: Call[] = [];
    const output = { cniVersion: '1.0.0', ips: [{ address: '10.9.0.2/24' }] };
    const where = place([fakePlugin('ipam', calls)], {
      outcome: { output },
      provider: '/opt/ipam',
      stderr: 'hm',
    });
    const result = createContext('bridge', where).delegate('ipam', 'ADD', pluginArgs({ strange: true }));
    assert.deepEqual(result?.ips, output.ips);
    assert.equal(calls.length, 0);
    assert.deepEqual([where.steps[0]?.provider, where.steps[0]?.stderr], ['/opt/ipam', 'hm']);
    assert.equal(where.requests[0]?.type, 'ipam');
    assert.deepEqual(where.requests[0].hints, { namespaceEnds: true });
  });

  it('names the key when neither can run', () => {
    const where = place([fakePlugin('ipam', [])], notFound);
    assert.throws(() => createContext('bridge', where).delegate('ipam', 'ADD', pluginArgs({ strange: 1 })), {
      name: 'CniError',
      message:
        /^built-in plugin "ipam" does not understand key "strange", and its executable is missing: failed to find/,
    });
    assert.match(where.steps[0]?.error ?? '', /strange/);
  });

  it('passes the error of a delegate on unchanged, and reports it', () => {
    const failing = fakePlugin('ipam', [], () => {
      throw new CniError(11, 'try again');
    });
    const where = place([failing], notFound);
    assert.throws(() => createContext('bridge', where).delegate('ipam', 'DEL', pluginArgs({})), {
      code: 11,
      message: 'try again',
    });
    assert.deepEqual([where.steps[0]?.code, where.steps[0]?.error], [11, 'try again']);
  });

  it('blames an executable for a result that is none', () => {
    const where = place([], {
      outcome: { output: { ips: [{ address: 7 }] } },
      provider: '/opt/ipam',
      stderr: '',
    });
    assert.throws(() => createContext('bridge', where).delegate('ipam', 'ADD', pluginArgs({})), CniError);
    assert.equal(where.steps[0]?.provider, '/opt/ipam');
  });
});

describe('what a GC finds', () => {
  const remain = { what: 'address 10.0.0.2', containerId: 'c1', ifName: 'eth0' };

  function found(hints: Hints) {
    const lines: string[] = [];
    const remains: Remain[] = [];
    const where = {
      ...place([], notFound),
      hints,
      log: (line: string) => void lines.push(line),
      onRemain: (each: Remain) => void remains.push(each),
    };
    let removals = 0;
    const context = createContext('host-local', where);
    context.collect([], () => assert.fail('there is nothing to remove'));
    context.collect([remain, { what: 'link bwp0', containerId: '', ifName: '' }], () => (removals += 1));
    context.leave(remain);
    return { lines, removals, verdicts: remains.map(({ what, verdict }) => `${verdict} ${what}`) };
  }

  it('is removed at once when it is stale, and told to the runtime and on stderr', () => {
    assert.deepEqual(found({}), {
      lines: [
        'removed address 10.0.0.2 of c1 eth0: it is not among the valid attachments',
        'removed link bwp0: it is not among the valid attachments',
        "left address 10.0.0.2 of c1 eth0: it may be another network's",
      ],
      removals: 1,
      verdicts: ['stale address 10.0.0.2', 'stale link bwp0', 'foreign address 10.0.0.2'],
    });
  });

  it('is told and stays in a dry run', () => {
    const { lines, removals, verdicts } = found({ dryRun: true });
    assert.deepEqual([lines.length, removals, verdicts.length], [1, 0, 3]);
  });
});
