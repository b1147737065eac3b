/** Tests that need more than a cluster to use. */
import { describe } from '@jest/globals';
import { sharedControlPlane } from './support.ts';

/**
 * As Jest's `describe`, for tests that kill parts of the control plane, restore its storage, read its audit log or make
 * users by certificate. On a cluster that was there before they are skipped, and a line says so.
 */
export function describeOnOwnControlPlane(name: string, tests: () => void): void {
  const { isOwn } = sharedControlPlane();
  if (!isOwn) process.stderr.write(`Skipped, since it needs a control plane that tests may kill: ${name}\n`);
  // oxlint-disable-next-line jest/no-disabled-tests, jest/valid-title, jest/valid-describe-callback
  (isOwn ? describe : describe.skip)(name, tests);
}
