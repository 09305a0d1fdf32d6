import assert from 'node:assert/strict';
import { Signal, type Signal__Output } from '../../../../src/gen/runtime/v1/Signal.ts';
import {
  checkStopSignal,
  effectiveStopSignal,
  signalNumber,
} from '../../../../src/pod/container/stop-signal.ts';

describe('a stop signal', () => {
  for (const [name, number] of [
    ['SIGTERM', 15],
    ['TERM', 15],
    ['sigquit', 3],
    ['kill', 9],
    ['2', 2],
    ['SIGCLD', 17],
    ['SIGRTMIN', 34],
    ['RTMIN+3', 37],
    ['SIGRTMINPLUS3', 37],
    ['SIGRTMAX-14', 50],
    ['SIGRTMAXMINUS1', 63],
    ['SIGRTMAX', 64],
  ] as const) {
    it(`${name} is number ${number}`, () => assert.equal(signalNumber(name), number));
  }

  for (const name of ['', 'SIG', 'SIGNAL', '0', '65', 'SIGRTMAX+1', 'SIGRTMIN3', 'toString']) {
    it(`${JSON.stringify(name)} is none`, () => assert.equal(signalNumber(name), undefined));
  }

  it('can be any of the CRI, and no other', () => {
    const names = Object.values(Signal).filter((name) => name !== 'RUNTIME_DEFAULT');
    assert.equal(names.length, 65);
    for (const name of names) assert.ok(signalNumber(name) !== undefined, name);
    checkStopSignal('RUNTIME_DEFAULT');
    checkStopSignal('SIGRTMINPLUS1');
    assert.throws(
      () => checkStopSignal(99 as unknown as Signal__Output),
      /config\.stop_signal: unknown signal 99/,
    );
  });

  it('is reported as it was asked for, else as the image has it', () => {
    assert.equal(effectiveStopSignal('SIGCLD', 'SIGCLD'), 'SIGCLD');
    assert.equal(effectiveStopSignal('RUNTIME_DEFAULT', 'SIGTERM'), 'SIGTERM');
    assert.equal(effectiveStopSignal('RUNTIME_DEFAULT', 'usr1'), 'SIGUSR1');
    assert.equal(effectiveStopSignal('RUNTIME_DEFAULT', '17'), 'SIGCHLD');
    assert.equal(effectiveStopSignal('RUNTIME_DEFAULT', 'SIGRTMIN+3'), 'SIGRTMINPLUS3');
    assert.equal(effectiveStopSignal('RUNTIME_DEFAULT', 'nonsense'), 'RUNTIME_DEFAULT');
  });
});
