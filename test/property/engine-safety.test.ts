/**
 * Goal: whatever becomes of writes, connections and owners, nobody believes to hold what another one holds, nothing is told
 * that is not on record, no token is given twice, and once all faults end everybody is answered.
 * Method: four clients with clocks of their own, seven locks of all kinds, and a store that may lose, delay, refuse or keep to
 * itself the outcome of any write; random steps, checked after each.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { runSafety } from '../support/engine-safety.ts';

test('no promise is broken', () => {
  const steps = fc.array(fc.nat(0xffff_ffff), { minLength: 40, maxLength: 150, size: 'max' });
  fc.assert(
    fc.property(steps, (numbers) => expect(runSafety(numbers)).toBe(numbers.length)),
    { numRuns: 300, endOnFailure: true },
  );
});
