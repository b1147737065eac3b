/**
 * Goal: of every failure it is known whether the write may have happened. Method: a table of what API servers, gateways and
 * connections do.
 */
import { describe, expect, test } from '@jest/globals';
import { type NoAnswer, refused, retryAfterOf, unanswered, unreadable } from '../../../../src/kube/cluster/outcome.ts';

const write = { write: true, what: 'update Lease shop/lock-a' };
const read = { write: false, what: 'get Lease shop/lock-a' };

function status(code: number, reason: string, message: string, details?: object): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details });
}

const named = { name: 'lock-a', kind: 'leases' };

describe('an answer that is no success', () => {
  test.each<[string, number, string, string | undefined, string, boolean]>([
    ['a malformed request', 400, status(400, 'BadRequest', 'bad'), undefined, 'rejected', false],
    ['credentials that ran out', 401, status(401, 'Unauthorized', 'Unauthorized'), undefined, 'rejected', true],
    ['a missing permission', 403, status(403, 'Forbidden', 'no'), undefined, 'rejected', false],
    ['a namespace that ends', 403, status(403, 'Forbidden', 'terminating'), undefined, 'rejected', false],
    ['no such object', 404, status(404, 'NotFound', 'not found', named), undefined, 'notFound', false],
    ['no such kind', 404, '404 page not found', undefined, 'rejected', false],
    ['a method that is not served', 405, status(405, 'MethodNotAllowed', 'no'), undefined, 'rejected', false],
    ['a gateway that waited for the request', 408, '', undefined, 'unknown', false],
    ['another version', 409, status(409, 'Conflict', 'modified', named), undefined, 'conflict', false],
    ['a name that is taken', 409, status(409, 'AlreadyExists', 'exists', named), undefined, 'conflict', false],
    ['a forgotten version', 410, status(410, 'Expired', 'too old'), undefined, 'rejected', false],
    ['a body that is too large', 413, status(413, 'RequestEntityTooLarge', 'large'), undefined, 'rejected', false],
    ['an invalid object', 422, status(422, 'Invalid', 'invalid', named), undefined, 'rejected', false],
    ['too many requests', 429, status(429, 'TooManyRequests', 'later'), '1', 'rejected', true],
    ['too many requests, no time named', 429, 'Too many requests', undefined, 'rejected', true],
    [
      'an etcd that timed out',
      500,
      status(500, 'InternalError', 'etcdserver: request timed out'),
      '1',
      'unknown',
      false,
    ],
    ['an etcd whose leader changed', 500, status(500, '', 'etcdserver: leader changed'), undefined, 'unknown', false],
    [
      'a webhook that failed',
      500,
      status(500, 'InternalError', 'Internal error occurred: failed calling webhook "x": refused'),
      undefined,
      'rejected',
      true,
    ],
    ['something not implemented', 501, '', undefined, 'rejected', false],
    ['a gateway that lost its backend', 502, '<html>Bad Gateway</html>', undefined, 'unknown', false],
    ['a server that stops', 503, status(503, 'ServiceUnavailable', 'shutting down'), '1', 'rejected', true],
    ['a proxy whose backend broke off', 503, status(503, 'ServiceUnavailable', 'EOF'), undefined, 'unknown', false],
    ['a server that ran out of time', 504, status(504, 'Timeout', 'did not complete'), undefined, 'unknown', false],
    ['a status nobody knows', 599, '', undefined, 'unknown', false],
  ])('%s: %i', (_what, httpStatus, body, retryAfter, outcome, retryable) => {
    expect(refused(write, { httpStatus, body, retryAfter })).toMatchObject({ outcome, retryable, httpStatus });
  });

  test.each([408, 429, 500, 502, 503, 504])('of a read, %i can be tried again: nothing was changed', (httpStatus) => {
    expect(refused(read, { httpStatus, body: '' })).toMatchObject({ outcome: 'rejected', retryable: true });
  });

  test('says what was tried, what the server said and why, in bounds', () => {
    const { message } = refused(write, { httpStatus: 403, body: status(403, 'Forbidden', 'User "x" cannot update') });
    expect(message).toBe('Cannot update Lease shop/lock-a: User "x" cannot update (403, Forbidden).');
    expect(refused(write, { httpStatus: 404, body: '404 page not found' }).message).toContain('crds/');
    expect(refused(write, { httpStatus: 500, body: 'x'.repeat(100_000) }).message.length).toBeLessThan(600);
    expect(refused(write, { httpStatus: 500, body: '' }).message).toContain('no reason given');
    expect(refused(write, { httpStatus: 500, body: 'null' }).message).toContain('null');
  });

  test('keeps the time after which to come back', () => {
    expect(refused(write, { httpStatus: 429, body: '', retryAfter: '3' }).retryAfterMs).toBe(3_000);
    expect(refused(write, { httpStatus: 429, body: '' }).retryAfterMs).toBeUndefined();
  });

  test.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['86400', 60_000],
    ['', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    ['99999999999999', undefined],
    [undefined, undefined],
  ])('Retry-After %j is %j ms', (header, expected) => {
    expect(retryAfterOf(header)).toBe(expected);
  });
});

describe('no answer', () => {
  const reasons: readonly NoAnswer[] = ['timeout', 'aborted', 'connection', 'credentials', 'overload', 'tooLarge'];

  test.each(reasons)('%s: a write that reached a socket is unknown, one that did not can be sent again', (why) => {
    expect(unanswered(write, why, true)).toMatchObject({ outcome: 'unknown', retryable: false, httpStatus: undefined });
    expect(unanswered(write, why, false)).toMatchObject({ outcome: 'rejected', retryable: true });
    expect(unanswered(read, why, true)).toMatchObject({ outcome: 'rejected', retryable: true });
  });

  test('of a client that was closed: what was on its way is unknown, nothing more can be sent', () => {
    expect(unanswered(write, 'closed', true).outcome).toBe('unknown');
    expect(unanswered(write, 'closed', false)).toMatchObject({ outcome: 'rejected', retryable: false });
  });

  test('keeps the cause and its words', () => {
    const cause = new Error('read ECONNRESET');
    const error = unanswered(write, 'connection', true, cause);
    expect(error.cause).toBe(cause);
    expect(error.message).toBe(
      'Cannot update Lease shop/lock-a: the connection failed: read ECONNRESET. It may have been done, or may be yet.',
    );
  });
});

test('a success that cannot be read leaves the outcome of a write unknown', () => {
  expect(unreadable(write, 200, undefined)).toMatchObject({ outcome: 'unknown', httpStatus: 200 });
  expect(unreadable(read, 200, undefined)).toMatchObject({ outcome: 'rejected', retryable: true });
});
