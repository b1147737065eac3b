/**
 * Goal: everything that was taken is given back exactly once, in reverse order, whatever fails on the way.
 * Method: resources that write down when their turn came.
 */
import { EventEmitter, getEventListeners } from 'node:events';
import { describe, expect, jest, test } from '@jest/globals';
import { Disposables, disposable, listen, onAbort } from '../../../src/system/disposables.ts';

test('disposable runs its release once', () => {
  const release = jest.fn();
  const resource = disposable(release);
  expect(release).not.toHaveBeenCalled();
  resource[Symbol.dispose]();
  resource[Symbol.dispose]();
  expect(release).toHaveBeenCalledTimes(1);
});

test('disposable does not run its release again from inside it', () => {
  let calls = 0;
  const resource = disposable(() => {
    calls += 1;
    resource[Symbol.dispose]();
  });
  resource[Symbol.dispose]();
  expect(calls).toBe(1);
});

describe('Disposables', () => {
  function setup() {
    const turns: string[] = [];
    const resources = new Disposables();
    const sync = (name: string) => resources.add(disposable(() => turns.push(name)));
    const later = (name: string) =>
      resources.add({
        async [Symbol.asyncDispose]() {
          turns.push(`${name} begins`);
          await Promise.resolve();
          turns.push(`${name} ends`);
        },
      });
    return { turns, resources, sync, later };
  }

  test('gives back in reverse order, one after the other', async () => {
    const { turns, resources, sync, later } = setup();
    sync('timer');
    later('server');
    resources.defer(() => turns.push('metrics'));
    later('client');
    await resources.dispose();
    expect(turns).toEqual(['client begins', 'client ends', 'metrics', 'server begins', 'server ends', 'timer']);
  });

  test('works with await using', async () => {
    const { turns, resources, sync } = setup();
    {
      await using owned = resources;
      expect(owned.disposed).toBe(false);
      sync('timer');
    }
    expect(turns).toEqual(['timer']);
    expect(resources.disposed).toBe(true);
  });

  test('returns what it was given', () => {
    const { resources } = setup();
    const resource = disposable(() => {});
    expect(resources.add(resource)).toBe(resource);
  });

  test('prefers the asynchronous disposal of a resource that has both', async () => {
    const { turns, resources } = setup();
    resources.add({
      [Symbol.dispose]: () => void turns.push('sync'),
      [Symbol.asyncDispose]: async () => void turns.push('async'),
    });
    await resources.dispose();
    expect(turns).toEqual(['async']);
  });

  test('disposing twice releases once, and both wait for the end', async () => {
    const { turns, resources, later } = setup();
    later('server');
    const first = resources.dispose();
    const second = resources.dispose();
    expect(second).toBe(first);
    await second;
    expect(turns).toEqual(['server begins', 'server ends']);
  });

  test('a failure keeps nobody from their turn, and all failures are reported', async () => {
    const { turns, resources, sync } = setup();
    sync('timer');
    resources.defer(() => {
      throw new Error('first added');
    });
    sync('watch');
    resources.defer(() => Promise.reject(new Error('last added')));
    const failure = await resources.dispose().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AggregateError);
    expect((failure as AggregateError).errors.map(String)).toEqual(['Error: last added', 'Error: first added']);
    expect(turns).toEqual(['watch', 'timer']);
  });

  test('nothing can be added once disposal has begun', async () => {
    const { resources, sync } = setup();
    const disposal = resources.dispose();
    expect(() => sync('late')).toThrow('have been disposed');
    await disposal;
    expect(() => resources.defer(() => {})).toThrow('have been disposed');
  });
});

test('listen removes its listener', () => {
  const emitter = new EventEmitter();
  const heard: string[] = [];
  const listener = listen(emitter, 'event', (detail: string) => heard.push(detail));
  emitter.emit('event', 'one');
  emitter.emit('event', 'two');
  listener[Symbol.dispose]();
  emitter.emit('event', 'three');
  expect(heard).toEqual(['one', 'two']);
  expect(emitter.listenerCount('event')).toBe(0);
});

describe('onAbort', () => {
  test('calls once with the reason and removes its listener', () => {
    const controller = new AbortController();
    const run = jest.fn();
    onAbort(controller.signal, run);
    controller.abort('reason');
    expect(run.mock.calls).toEqual([['reason']]);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  test('calls in a microtask for a signal that has already aborted', async () => {
    const run = jest.fn();
    onAbort(AbortSignal.abort('reason'), run);
    expect(run).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(run.mock.calls).toEqual([['reason']]);
  });

  test('calls nobody after disposal', async () => {
    const controller = new AbortController();
    const run = jest.fn();
    onAbort(controller.signal, run)[Symbol.dispose]();
    onAbort(AbortSignal.abort(), run)[Symbol.dispose]();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    controller.abort();
    await Promise.resolve();
    expect(run).not.toHaveBeenCalled();
  });
});
