/**
 * Goal: the engine does what a naive engine does that was written from the design alone: every reply, every holder, every
 * waiter, whatever is asked.
 * Method: sequences of 200 to 260 commands over 20 locks of ten kinds, by six sessions of three pods; after each command both
 * must have answered alike. `npm run model` runs many more.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { runModel } from '../support/engine-model.ts';

const commands = fc.array(fc.nat(0xffff_ffff), { minLength: 200, maxLength: 260, size: 'max' });

test('the engine and the reference agree', () => {
  fc.assert(
    fc.property(commands, (numbers) => expect(runModel(numbers, 8)).toBe(numbers.length)),
    { numRuns: 200, endOnFailure: true },
  );
});
