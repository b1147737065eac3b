import type { z } from 'zod';

/** The reasons that Kubernetes allows for a broken rule. */
export type RuleReason = 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';

/** An entry of `x-kubernetes-validations`: a CEL expression with what to say where it is false. */
export interface CelRule {
  readonly rule: string;
  /** Said where `messageExpression` cannot be evaluated. */
  readonly message: string;
  readonly messageExpression: string;
  readonly reason: RuleReason;
  readonly fieldPath: string;
}

/**
 * A relation between the fields of one value, written once for two judges: the API server evaluates `rule` (CEL), our own code
 * `isMet`. They must agree; `crds.test.ts` holds them against each other.
 */
export interface ValidationRule<Value> {
  /** A rule that mentions `oldSelf` is judged on updates alone. */
  readonly rule: string;
  /** `old` is the stored value on an update, otherwise undefined; a rule about one value ignores it. */
  readonly isMet: (value: Value, old: Value | undefined) => boolean;
  /** What is wrong and what to do. ` ({path})`, right behind the name of a field, stands for the value of that field. */
  readonly message: string;
  readonly reason: RuleReason;
  /** The field to point at, from the value that the rule is about: for example `.maxHoldSeconds`. */
  readonly fieldPath: string;
}

const PLACEHOLDER = / \(\{([\w.]+)\}\)/g;

/**
 * The rule as the API server reads it. Values go into the message by `format`: the API server bounds the cost of an expression
 * before it takes a definition, and it finds none for a sum of texts made by `string()`.
 */
export function celRuleOf<Value>({ rule, message, reason, fieldPath }: ValidationRule<Value>): CelRule {
  const values = [...message.matchAll(PLACEHOLDER)].map(([, path]) => `self.${path}`);
  const literal = `'${message.replaceAll(PLACEHOLDER, ' (%s)')}'`;
  return {
    rule,
    message: message.replaceAll(PLACEHOLDER, ''),
    messageExpression: values.length === 0 ? literal : `${literal}.format([${values.join(', ')}])`,
    reason,
    fieldPath,
  };
}

/** What the API server says of a value that breaks the rule. */
export function ruleMessage<Value>({ message }: ValidationRule<Value>, value: Value): string {
  return message.replaceAll(PLACEHOLDER, (_match, path: string) => ` (${String(at(value, path))})`);
}

/** For zod's `superRefine`: an issue for every rule that the value breaks, with the field and the message of the rule. */
export function checkRules<Value>(
  rules: readonly ValidationRule<Value>[],
): (value: Value, context: z.RefinementCtx<Value>) => void {
  return (value, context) => {
    for (const rule of rules) {
      if (rule.isMet(value, undefined)) continue;
      const path = rule.fieldPath.split('.').slice(1);
      context.addIssue({ code: 'custom', path, message: ruleMessage(rule, value) });
    }
  };
}

function at(value: unknown, path: string): unknown {
  let current = value;
  for (const part of path.split('.')) current = (current as Readonly<Record<string, unknown>> | undefined)?.[part];
  return current;
}
