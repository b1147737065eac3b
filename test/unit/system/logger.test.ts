/** Goal: a line says what happened, as data, and never gives a secret away. Method: a sink that keeps the lines. */
import { describe, expect, test } from '@jest/globals';
import { type LoggerOptions, createLog, redactedNames, silentLog } from '../../../src/system/logger.ts';

function setup(options: LoggerOptions = {}) {
  const lines: string[] = [];
  const log = createLog({ sink: { write: (line) => lines.push(line) }, ...options });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('createLog', () => {
  test('writes one line of JSON: level, time, fields, message', () => {
    const { log, lines, parsed } = setup({ fields: { process: 'operator' } });
    log.info({ shard: 3, epoch: 7 }, 'shard adopted');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\}\n$/);
    expect(parsed()[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      process: 'operator',
      shard: 3,
      epoch: 7,
      message: 'shard adopted',
    });
  });

  test.each([
    { level: 'debug', expected: ['debug', 'info', 'warn', 'error'] },
    { level: 'info', expected: ['info', 'warn', 'error'] },
    { level: 'warn', expected: ['warn', 'error'] },
    { level: 'error', expected: ['error'] },
    { level: 'silent', expected: [] },
  ] as const)('level $level', ({ level, expected }) => {
    const { log, parsed } = setup({ level });
    log.debug({}, 'a');
    log.info({}, 'b');
    log.warn({}, 'c');
    log.error({}, 'd');
    expect(parsed().map((line) => line['level'])).toEqual(expected);
  });

  test('info is the default level', () => {
    const { log, lines } = setup();
    log.debug({}, 'not written');
    expect(lines).toEqual([]);
  });

  test('with adds fields to every line and leaves the parent alone', () => {
    const { log, parsed } = setup();
    log.with({ shard: 3 }).with({ session: 's' }).warn({ count: 2 }, 'late');
    log.info({}, 'parent');
    expect(parsed()[0]).toMatchObject({ shard: 3, session: 's', count: 2 });
    expect(parsed()[1]).not.toHaveProperty('shard');
  });

  test.each(redactedNames)('never writes a field named %s', (name) => {
    const { log, lines } = setup();
    const secret = 'must-not-appear';
    log.info({ [name]: secret, request: { [name]: secret, headers: { [name]: secret } } }, 'request');
    log.with({ [name]: secret }).info({}, 'child');
    expect(lines.join('')).not.toContain(secret);
    expect(lines.join('')).toContain('[redacted]');
  });

  test('a fencing token is no secret', () => {
    const { log, parsed } = setup();
    log.info({ fencingToken: '42' }, 'granted');
    expect(parsed()[0]).toMatchObject({ fencingToken: '42' });
  });
});

describe('errors', () => {
  test('say what happened, where and why', () => {
    const { log, parsed } = setup();
    const cause = Object.assign(new TypeError('connection reset'), { code: 'ECONNRESET' });
    log.error({ error: new Error('lease write failed', { cause }) }, 'authority lost');
    expect(parsed()[0]).toMatchObject({
      error: {
        type: 'Error',
        message: 'lease write failed',
        stack: expect.stringContaining('logger.test.ts'),
        cause: { type: 'TypeError', message: 'connection reset', code: 'ECONNRESET' },
      },
    });
  });

  test('leave out what a library hung on them', () => {
    const { log, lines } = setup();
    log.error({ error: Object.assign(new Error('403'), { request: { bearer: 'must-not-appear' } }) }, 'refused');
    expect(lines.join('')).not.toContain('must-not-appear');
  });

  test('come with their parts', () => {
    const { log, parsed } = setup();
    log.error({ error: new AggregateError([new Error('one'), 'two'], 'several') }, 'not all closed');
    expect(parsed()[0]).toMatchObject({ error: { message: 'several', errors: [{ message: 'one' }, 'two'] } });
  });

  test('may be their own cause, or no errors at all', () => {
    const { log, parsed } = setup();
    const circle = new Error('circle');
    circle.cause = circle;
    log.error({ error: circle }, 'first');
    log.error({ error: 'just text' }, 'second');
    expect(parsed()).toHaveLength(2);
    expect(parsed()[1]).toMatchObject({ error: 'just text' });
  });
});

test('silentLog takes everything', () => {
  silentLog.debug({}, 'a');
  silentLog.info({}, 'b');
  silentLog.warn({}, 'c');
  silentLog.error({}, 'd');
  expect(silentLog.with({ shard: 1 })).toBe(silentLog);
});
