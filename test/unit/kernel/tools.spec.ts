import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasRule, parseSaved, ruleLine, splitWords } from '../../../src/kernel/iptables.ts';
import { nftComment, parseNftRules } from '../../../src/kernel/nft.ts';
import { commentOf } from '../../../src/kernel/nft-objects.ts';
import { runTool } from '../../../src/kernel/tool.ts';

const saved = `# Generated
*nat
:PREROUTING ACCEPT [0:0]
:CNI-DN-x - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"net\\" id: \\"cid\\"" -m multiport --dports 80,81 -j CNI-DN-x
COMMIT
`;

describe('iptables text', () => {
  it('is read into chains and words', () => {
    const table = parseSaved(saved);
    assert.deepEqual([...table.chains], ['PREROUTING', 'CNI-DN-x']);
    assert.equal(table.rules.length, 2);
    assert.ok(table.rules[1]?.words.includes('dnat name: "net" id: "cid"'));
    assert.equal(
      hasRule(table, 'PREROUTING', ['-m', 'addrtype', '--dst-type', 'LOCAL', '-j', 'CNI-HOSTPORT-DNAT']),
      true,
    );
    assert.equal(
      hasRule(table, 'OUTPUT', ['-m', 'addrtype', '--dst-type', 'LOCAL', '-j', 'CNI-HOSTPORT-DNAT']),
      false,
    );
  });

  it('gives every word back that was written', () => {
    const word = fc.string({ minLength: 1, unit: 'grapheme-ascii' });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        assert.deepEqual(splitWords(ruleLine('-A', 'X', words)).slice(2), words);
      }),
    );
  });

  it('takes no line break', () => {
    assert.throws(() => ruleLine('-A', 'X', ['-s', '1.2.3.4\n-A INPUT -j DROP']), {
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('nft text', () => {
  it('has comments without quotes and line breaks, within 128 bytes', () => {
    assert.equal(nftComment('a "b"\n; c'), '"a b; c"');
    assert.equal(Buffer.byteLength(nftComment('ä'.repeat(100))), 130);
    assert.equal(Buffer.byteLength(nftComment(`x${'ä'.repeat(100)}`)), 129);
  });

  it('is read into rules', () => {
    const rule = { family: 'ip', table: 't', chain: 'c', handle: 7, comment: 'abc', expr: [{ drop: null }] };
    const text = JSON.stringify({
      nftables: [{ metainfo: {} }, { table: {} }, { rule }, { rule: { ...rule, comment: undefined } }],
    });
    assert.deepEqual(parseNftRules(text), [
      { chain: 'c', handle: 7, comment: 'abc', expr: [{ drop: null }] },
      { chain: 'c', handle: 7, comment: '', expr: [{ drop: null }] },
    ]);
    assert.throws(() => parseNftRules('{}'), { code: 'INTERNAL' });
  });

  it("has its comment in a rule's user data, among other items", () => {
    const comment = Buffer.concat([Buffer.from([1, 2, 9, 9, 0, 4]), Buffer.from('abc\0')]);
    assert.equal(commentOf(comment), 'abc');
    assert.equal(commentOf(Buffer.alloc(0)), '');
    fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof commentOf(Buffer.from(bytes)) === 'string'));
  });
});

describe('tools', () => {
  it('say when they are not installed', () => {
    assert.throws(() => runTool('berth-no-such-tool', []), {
      code: 'NOT_FOUND',
      message: 'berth-no-such-tool is not installed',
    });
  });

  it('give status, output and errors', () => {
    assert.deepEqual(runTool('cat', ['-'], 'text'), { status: 0, stdout: 'text', stderr: '' });
    const { status, stderr } = runTool('cat', ['/no/such/file']);
    assert.equal(status, 1);
    assert.match(stderr, /No such file/);
  });
});
