import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setupMasquerade, teardownMasquerade } from '../../../../src/network/plugins/masquerade.ts';
import { withNetns } from '../../../../src/kernel/thread-namespaces.ts';
import { Cleanup } from '../../../helpers/cleanup.ts';
import { TestNode } from '../../../helpers/node.ts';

describe('masquerading', () => {
  let cleanup: Cleanup;
  let node: TestNode;

  beforeEach(async () => {
    cleanup = new Cleanup();
    node = cleanup.use(await TestNode.create());
  });

  afterEach(() => cleanup[Symbol.asyncDispose]());

  const containerId = randomBytes(8).toString('hex');
  const own = { network: 'net', containerId, ifName: 'eth0', ips: ['10.66.0.2/24', 'fd66::2/64'] };

  async function rules(backend: 'iptables' | 'nftables'): Promise<string> {
    if (backend === 'nftables') return node.run('nft', 'list', 'ruleset');
    const both = await Promise.all([
      node.run('iptables-save', '-t', 'nat'),
      node.run('ip6tables-save', '-t', 'nat'),
    ]);
    return both.join('\n').replaceAll(/^#.*$\n?/gm, '');
  }

  for (const backend of ['iptables', 'nftables'] as const) {
    const setup = (more: Partial<typeof own> = {}): void =>
      withNetns(node.path, () => setupMasquerade({ ...own, ...more, backend }));
    const teardown = (): void => withNetns(node.path, () => teardownMasquerade(own));

    it(`is the same when set up twice, with ${backend}`, async () => {
      setup();
      const once = await rules(backend);
      setup();
      assert.equal(await rules(backend), once);
      assert.match(once, /10\.66\.0\.2/);
      assert.match(once, /fd66::2/);
    });

    it(`is taken down by comment, without addresses, and others stay, with ${backend}`, async () => {
      setup();
      setup({ containerId: 'other', ips: ['10.66.0.3/24'] });
      teardown();
      teardown();
      const left = await rules(backend);
      assert.doesNotMatch(left, /10\.66\.0\.2|fd66::2/);
      assert.doesNotMatch(left, new RegExp(containerId));
      assert.match(left, /10\.66\.0\.3/);
    });
  }

  it('writes the nftables rules that the reference plugins write', async () => {
    withNetns(node.path, () => setupMasquerade({ ...own, backend: 'nftables' }));
    const lines = (await rules('nftables')).split('\n').map((line) => line.trim());
    const comment = /comment "[0-9a-f]{16}-[0-9a-f]{16}, net: net, if: eth0, id: [0-9a-f]{16}"$/;
    const masquerades = lines.filter((line) => line.includes('masquerade comment'));
    assert.ok(masquerades.every((line) => comment.test(line)));
    assert.deepEqual(
      lines
        .filter((line) => line !== '' && line !== '}')
        .map((line) => line.replace(/ comment "[0-9a-f-]{33}.*$/, '')),
      [
        'table inet cni_plugins_masquerade {',
        'comment "Masquerading for plugins from github.com/containernetworking/plugins"',
        'chain masq_checks {',
        'comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"',
        'ip saddr 10.66.0.2 ip daddr != 10.66.0.0/24 masquerade',
        'ip6 saddr fd66::2 ip6 daddr != fd66::/64 masquerade',
        'chain postrouting {',
        'type nat hook postrouting priority srcnat; policy accept;',
        'ip daddr 224.0.0.0/4 return',
        'ip6 daddr ff00::/8 return',
        'goto masq_checks',
      ],
    );
  });
});
