/** What stores of Leases and objects answered, in a form that tests compare. */
import { expect } from '@jest/globals';
import { type LeaseEvent, StoreError } from '../../src/kube/lease-store.ts';

/** The error that a call fails with, which must be a `StoreError`. */
export async function refusal(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

/** An event of a watch as `TYPE name version`, `BOOKMARK version` or `ERROR code`. */
export function told(event: LeaseEvent): string {
  if (event.type === 'BOOKMARK') return `BOOKMARK ${event.resourceVersion}`;
  if (event.type === 'ERROR') return `ERROR ${event.code}`;
  return `${event.type} ${event.lease.metadata.name} ${event.lease.metadata.resourceVersion}`;
}
