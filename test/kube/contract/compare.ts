/** Judges a case that was played on both sides: against what it says of the real API server, and the two against each other. */
import { type Difference, differences, inWords, isWithin } from './differences.ts';
import { EXCEPTIONS } from './exceptions.ts';
import type { Transcript } from './transcript.ts';

/** Everything that is wrong, one text each; empty if the case holds. */
export function problemsOf(name: string, real: Transcript, embedded: Transcript): readonly string[] {
  const found = differences(real.answers, embedded.answers, '');
  const places = EXCEPTIONS.flatMap(({ shownBy }) => shownBy[name] ?? []);
  const excepted = (difference: Difference) => places.some((place) => isWithin(difference, place));
  return [
    ...real.surprises.map((surprise) => `the real API server, ${surprise}`),
    ...found.filter((difference) => !excepted(difference)).map((difference) => `they differ: ${inWords(difference)}`),
    ...places
      .filter((place) => !found.some((difference) => isWithin(difference, place)))
      .map((place) => `they do not differ any more at ${place}: take it out of exceptions.ts`),
  ];
}
