/** An operation in one line of the history. */
import type { Operation } from '../../src/api/operations.ts';

export function textOf(operation: Operation): string {
  const { op, ref, key } = operation;
  const token = 'token' in operation ? `#${operation.token}` : '';
  const owner = 'ownerId' in operation && operation.ownerId !== undefined ? ` ${operation.ownerId}` : '';
  const request = 'requestId' in operation && operation.requestId !== undefined ? ` ${operation.requestId}` : '';
  const ttl = 'ttlMs' in operation && operation.ttlMs !== undefined ? ` ttl ${operation.ttlMs}` : '';
  return `${op}(${ref}) ${key}${token}${owner}${request}${ttl}`;
}
