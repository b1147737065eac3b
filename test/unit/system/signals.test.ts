/** Goal: the first signal asks, the second one ends. Method: an emitter in place of the process. */
import { EventEmitter } from 'node:events';
import { describe, expect, jest, test } from '@jest/globals';
import { onStop } from '../../../src/system/signals.ts';

function setup() {
  const source = new EventEmitter();
  const exit = jest.fn<(code: number) => void>();
  const stopped = jest.fn();
  const listener = onStop(stopped, { source, exit });
  return { source, exit, stopped, listener };
}

describe('onStop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('the first %s calls back', (signal) => {
    const { source, exit, stopped } = setup();
    source.emit(signal);
    expect(stopped.mock.calls).toEqual([[signal]]);
    expect(exit).not.toHaveBeenCalled();
  });

  test.each([
    { first: 'SIGTERM', second: 'SIGTERM', code: 143 },
    { first: 'SIGTERM', second: 'SIGINT', code: 130 },
    { first: 'SIGINT', second: 'SIGINT', code: 130 },
  ])('$second after $first ends the process with $code', ({ first, second, code }) => {
    const { source, exit, stopped } = setup();
    source.emit(first);
    source.emit(second);
    expect(exit.mock.calls).toEqual([[code]]);
    expect(stopped).toHaveBeenCalledTimes(1);
  });

  test('a second signal ends the process even while the callback runs', () => {
    const source = new EventEmitter();
    const exit = jest.fn<(code: number) => void>();
    onStop(() => source.emit('SIGTERM'), { source, exit });
    source.emit('SIGTERM');
    expect(exit.mock.calls).toEqual([[143]]);
  });

  test('disposing restores what signals did before', () => {
    const { source, stopped, listener } = setup();
    listener[Symbol.dispose]();
    expect(source.eventNames()).toEqual([]);
    source.emit('SIGTERM');
    expect(stopped).not.toHaveBeenCalled();
  });

  test('listens on the process unless told otherwise', () => {
    const before = process.listenerCount('SIGTERM');
    const listener = onStop(() => {});
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    listener[Symbol.dispose]();
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
