import { FORCE_RELEASE_ANNOTATION, FORCE_RELEASED_ANNOTATION, FORCE_RELEASING_ANNOTATION } from '../annotations.ts';
import { LIMITS } from '../../api/limits.ts';
import { formatTime } from '../../kube/lease.ts';
import type { LockInput } from './gather.ts';

/**
 * The next step of a force release that was asked for by annotation; each is one write, and each can be repeated after a crash:
 *
 * 1. `intend`: write down up to which token holds are meant.
 * 2. `release`: end the holds. Only while a hold up to that token is there: a crash after it leads to step 3, and whoever was
 *    granted the lock in between keeps it.
 * 3. `record`: remove the wish and the intention, and write down what was done, in one write bound to the version. It
 *    follows a release at once.
 */
export interface ForceReleaseStep {
  readonly step: 'intend' | 'withdraw' | 'release' | 'record';
  /** For people. */
  readonly reason: string;
  /** For a `release`, to be written once the holds have ended. */
  readonly patch: AnnotationsPatch;
}

export interface AnnotationsPatch {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly annotations: Readonly<Record<string, string | null>>;
  };
}

const INTENTION = /^(\d{1,16}) (.*)$/s;

/** `undefined`: nothing is asked for, or it is not for this process to do. */
export function forceReleaseStep(input: LockInput): ForceReleaseStep | undefined {
  const { object, owned, inspection, observation, wallMs } = input;
  if (object === undefined || !owned) return undefined;
  const { annotations = {}, resourceVersion } = object.metadata;
  const wish = annotations[FORCE_RELEASE_ANNOTATION];
  const intention = annotations[FORCE_RELEASING_ANNOTATION];
  const patch = (changes: Readonly<Record<string, string | null>>): AnnotationsPatch => ({
    metadata: { resourceVersion, annotations: changes },
  });
  if (wish === undefined) {
    // Taken back by whoever had set it.
    return intention === undefined
      ? undefined
      : { step: 'withdraw', reason: '', patch: patch({ [FORCE_RELEASING_ANNOTATION]: null }) };
  }
  const reason = wish.trim().slice(0, LIMITS.reasonLengthMax) || 'no reason given';
  const [, token, meant] = INTENTION.exec(intention ?? '') ?? [];
  if (token === undefined || meant !== wish) {
    return {
      step: 'intend',
      reason,
      patch: patch({ [FORCE_RELEASING_ANNOTATION]: `${highestTokenOf(input)} ${wish}` }),
    };
  }
  const record = patch({
    [FORCE_RELEASE_ANNOTATION]: null,
    [FORCE_RELEASING_ANNOTATION]: null,
    [FORCE_RELEASED_ANNOTATION]: `${formatTime(wallMs)} ${wish}`,
  });
  const isMeant = inspection?.holders.some((holder) => holder.token <= Number(token)) ?? false;
  // While the store refuses the Lease, an end that was decided may not be on record: asking again waits for it.
  const mayBeUnrecorded = observation.refusal !== undefined;
  return { step: isMeant || mayBeUnrecorded ? 'release' : 'record', reason, patch: record };
}

/** No hold that is there has a higher one. */
export function highestTokenOf({ inspection, highestToken, status }: LockInput): number {
  const recorded = status.fencingToken === undefined ? 0 : Number(status.fencingToken);
  return Math.max(highestToken, recorded, ...(inspection?.holders.map(({ token }) => token) ?? []));
}
