/** What somebody believes to hold, whoever it is: the checkers judge nothing else. */
import type { Mode } from '../../src/api/vocabulary.ts';

export interface Belief {
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  /** Name of the process that believes. */
  readonly holderName: string;
  /** Time left by the believer's own clocks. */
  readonly leftMs: number;
  /** Whether the believer would work under it at this moment. */
  readonly isBelieved: boolean;
  /** Both clocks of the believer stood still or went back: nothing is promised then but tokens. */
  isBlindAt(trueMs: number): boolean;
}
