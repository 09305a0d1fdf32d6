import assert from 'node:assert/strict';
import type { Remain } from '../../../../../src/network/cni/invoke/invoke.ts';
import { createContext } from '../../../../../src/network/plugins/context.ts';
import type { LeaseCall } from '../../../../../src/network/plugins/ipam/dhcp/call.ts';
import { dhcp } from '../../../../../src/network/plugins/ipam/dhcp/index.ts';
import { createRegistry } from '../../../../../src/network/plugins/registry.ts';
import { bridge } from '../../../../../src/network/plugins/main/bridge/index.ts';
import type { Plugin } from '../../../../../src/network/plugins/plugin.ts';
import { pluginArgs } from '../fake-plugin.ts';

describe('GC of dhcp', () => {
  function collect(plugin: Plugin, dryRun: boolean) {
    const calls: LeaseCall[] = [];
    const lines: string[] = [];
    const remains: Remain[] = [];
    const context = createContext(plugin.type, {
      registry: createRegistry(),
      hints: { dryRun },
      runExecutable: () => assert.fail('no executable is needed'),
      askLeaseKeeper: (call) => {
        calls.push(call);
        return { stale: [{ containerId: 'c1', ifName: 'eth0', address: '10.0.0.9' }] };
      },
      log: (line) => void lines.push(line),
      onRemain: (remain) => void remains.push(remain),
      onStep: () => undefined,
    });
    plugin.gc?.(pluginArgs({ type: plugin.type, ipam: { type: 'dhcp' } }), context);
    return { asked: calls.map((call) => [call.verb, call.dryRun]), lines, remains };
  }

  const remains = [
    { what: 'DHCP lease 10.0.0.9', containerId: 'c1', ifName: 'eth0', verdict: 'stale' },
  ] satisfies Remain[];

  for (const plugin of [dhcp, bridge]) {
    it(`asks the keeper, behind ${plugin.type} too, and reports what was stale`, () => {
      assert.deepEqual(collect(plugin, false), {
        asked: [['GC', false]],
        lines: ['removed DHCP lease 10.0.0.9 of c1 eth0: it is not among the valid attachments'],
        remains,
      });
    });

    it(`only looks in a dry run, behind ${plugin.type} too`, () => {
      assert.deepEqual(collect(plugin, true), { asked: [['GC', true]], lines: [], remains });
    });
  }
});
