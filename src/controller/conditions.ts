import {
  type Condition,
  CONDITION_MESSAGE_LENGTH_MAX,
  type ConditionStatus,
} from '../api/custom-resources/conditions.ts';

/** A condition as it should be now; its transition time follows from what it was. */
export type WantedCondition = Omit<Condition, 'lastTransitionTime'>;

type Table = Readonly<Record<string, Readonly<Record<string, ConditionStatus>>>>;

/** Builds conditions of one kind of object: the reason gives the status, so that the two cannot disagree. */
export function conditionsOf<Conditions extends Table>(table: Conditions, generation: number | undefined) {
  return <Type extends keyof Conditions & string>(
    type: Type,
    reason: keyof Conditions[Type] & string,
    message: string,
  ): WantedCondition => ({
    type,
    status: table[type]?.[reason] as ConditionStatus,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    reason,
    message: message.slice(0, CONDITION_MESSAGE_LENGTH_MAX),
  });
}

/**
 * The list to store: ours in the order given, each with the time its status last changed, then those that other controllers
 * put there.
 */
export function mergeConditions(
  current: readonly Condition[],
  wanted: readonly WantedCondition[],
  nowText: string,
): Condition[] {
  const before = new Map(current.map((condition) => [condition.type, condition]));
  const ours = wanted.map((condition) => {
    const known = before.get(condition.type);
    before.delete(condition.type);
    return {
      ...condition,
      lastTransitionTime: known?.status === condition.status ? known.lastTransitionTime : nowText,
    };
  });
  return [...ours, ...before.values()];
}
