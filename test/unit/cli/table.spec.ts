import assert from 'node:assert/strict';
import { errorLine } from '../../../src/cli/exit.ts';
import { age, dateOfNanoseconds, facts, indent, printable, table } from '../../../src/cli/table.ts';

describe('text for people', () => {
  it('a table pads columns to the widest cell and leaves no blanks at the end', () => {
    assert.equal(
      table(
        ['A', 'LONGER', 'C'],
        [
          ['wide cell', 'x', ''],
          ['y', '', 'z'],
        ],
      ),
      'A          LONGER  C\nwide cell  x\ny                  z\n',
    );
  });

  it('a table without rows is its header', () => {
    assert.equal(table(['A', 'B'], []), 'A  B\n');
  });

  it('facts leave out what has no value', () => {
    assert.equal(
      facts([
        ['Name', 'web'],
        ['Hostname', ''],
        ['IP', undefined],
        ['State', 'READY'],
      ]),
      'Name:  web\nState: READY\n',
    );
  });

  it('never passes on what a terminal would obey', () => {
    assert.equal(printable('a\u001b[31mb\u0007\u009bc'), 'a\u{FFFD}[31mb\u{FFFD}\u{FFFD}c');
    assert.equal(printable('one\n  two\r\nthree'), 'one two three');
    assert.doesNotMatch(table(['A'], [['\u001b]0;x']]), /\u001b/);
    assert.doesNotMatch(facts([['\u001b]0;x', 'y']]), /\u001b/);
    assert.equal(errorLine(new Error('a\u001b[2Jb\rc\nd')), 'berth: a\u{FFFD}[2Jb\u{FFFD}c d\n');
  });

  it('ages are in the largest whole unit, and never negative', () => {
    const now = new Date('2026-01-02T00:00:00Z');
    const ago = (seconds: number) => age(new Date(now.getTime() - seconds * 1000), now);
    assert.deepEqual([0, 59, 60, 3599, 3600, 86_399, 86_400, 172_800].map(ago), [
      '0 s',
      '59 s',
      '1 min',
      '59 min',
      '1 h',
      '23 h',
      '1 d',
      '2 d',
    ]);
    assert.equal(ago(-5), '0 s');
  });

  it('nanoseconds beyond the safe integers keep their millisecond', () => {
    assert.equal(dateOfNanoseconds('1767312000123456789').toISOString(), '2026-01-02T00:00:00.123Z');
  });

  it('indents lines that hold something', () => {
    assert.equal(indent('a\n\nb\n'), '  a\n\n  b\n');
  });
});
