import type { z } from 'zod';

/** The reasons that Kubernetes allows for a broken rule. */
export type RuleReason = 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';

/** An entry of `x-kubernetes-validations`: a CEL expression with what to say where it is false. */
export interface CelRule {
  readonly rule: string;
  /** Said where `messageExpression` fails. */
  readonly message: string;
  readonly messageExpression: string;
  readonly reason: RuleReason;
  readonly fieldPath: string;
}

/**
 * A relation between the fields of one object, written once for both judges: the API server evaluates `rule` (CEL), this code
 * evaluates `isMet`. `crds.test.ts` holds them against each other.
 */
export interface ValidationRule<Value> {
  readonly rule: string;
  readonly isMet: (value: Value) => boolean;
  /** What to do, with values of fields as ` ({path})` right behind their names. */
  readonly message: string;
  readonly reason: RuleReason;
  /** The field to point at, for example `.maxHoldSeconds`. */
  readonly fieldPath: string;
}

/**
 * A relation between the stored object and the one that is to replace it. Only the API server sees both, so it has no
 * counterpart here.
 */
export type TransitionRule = Omit<CelRule, 'message'> & { readonly message: string };

const PLACEHOLDER = / \(\{([\w.]+)\}\)/g;

/** The rule as the API server reads it. */
export function celRuleOf<Value>({ rule, message, reason, fieldPath }: ValidationRule<Value>): CelRule {
  const messageExpression = `'${message.replaceAll(PLACEHOLDER, (_match, path: string) => ` (' + string(self.${path}) + ')`)}'`;
  return { rule, message: message.replaceAll(PLACEHOLDER, ''), messageExpression, reason, fieldPath };
}

/** For zod's `superRefine`: an issue for every rule that the value breaks, with the field and the message of the rule. */
export function checkRules<Value>(
  rules: readonly ValidationRule<Value>[],
): (value: Value, context: z.RefinementCtx<Value>) => void {
  return (value, context) => {
    for (const { isMet, message, fieldPath } of rules) {
      if (isMet(value)) continue;
      context.addIssue({
        code: 'custom',
        path: fieldPath.split('.').slice(1),
        message: message.replaceAll(PLACEHOLDER, (_match, path: string) => ` (${String(at(value, path))})`),
      });
    }
  };
}

function at(value: unknown, path: string): unknown {
  let current = value;
  for (const part of path.split('.')) current = (current as Readonly<Record<string, unknown>>)[part];
  return current;
}
