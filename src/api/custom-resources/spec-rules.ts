import type { DistributedLockSpec, LockPoolSpec } from '../policies.ts';
import { isKeyPattern, isKeyPatternSyntax, KEY_PATTERN_SYNTAX } from './key-pattern.ts';
import type { ValidationRule } from './validation-rule.ts';

/**
 * Relations between the fields of a spec; defaults are filled in before they are judged. No field of a spec is immutable:
 * edits apply to grants after them, and holds keep what they were promised.
 */
export const maxHoldRule: ValidationRule<Pick<DistributedLockSpec, 'maxHoldSeconds' | 'leaseDurationSeconds'>> = {
  rule: '!has(self.maxHoldSeconds) || self.maxHoldSeconds >= self.leaseDurationSeconds',
  isMet: ({ maxHoldSeconds, leaseDurationSeconds }) =>
    maxHoldSeconds === undefined || maxHoldSeconds >= leaseDurationSeconds,
  message:
    '`maxHoldSeconds` ({maxHoldSeconds}) must be at least `leaseDurationSeconds` ({leaseDurationSeconds}): raise the one or lower the other',
  reason: 'FieldValueInvalid',
  fieldPath: '.maxHoldSeconds',
};

export const poolLeaseRule: ValidationRule<LockPoolSpec> = {
  rule: 'self.leaseDurationSeconds <= self.maxLeaseDurationSeconds',
  isMet: ({ leaseDurationSeconds, maxLeaseDurationSeconds }) => leaseDurationSeconds <= maxLeaseDurationSeconds,
  message:
    '`leaseDurationSeconds` ({leaseDurationSeconds}) must be at most `maxLeaseDurationSeconds` ({maxLeaseDurationSeconds}): lower the one or raise the other',
  reason: 'FieldValueInvalid',
  fieldPath: '.leaseDurationSeconds',
};

export const keyPatternSyntaxRule: ValidationRule<LockPoolSpec> = {
  rule: `!has(self.keyPattern) || self.keyPattern.matches(r'${KEY_PATTERN_SYNTAX}')`,
  isMet: ({ keyPattern }) => keyPattern === undefined || isKeyPatternSyntax(keyPattern),
  message:
    '`keyPattern` ({keyPattern}) must be made of characters, classes such as [a-z0-9], dots, counts and | alone, without groups and anchors; write order-[0-9]+|refund-[0-9]+',
  reason: 'FieldValueInvalid',
  fieldPath: '.keyPattern',
};

/** A range such as `[z-a]` is an error of the evaluation, which the API server answers with its own text and this message. */
export const keyPatternRule: ValidationRule<LockPoolSpec> = {
  rule: `!has(self.keyPattern) || !self.keyPattern.matches(r'${KEY_PATTERN_SYNTAX}') || 'x'.matches(self.keyPattern) || !'x'.matches(self.keyPattern)`,
  isMet: ({ keyPattern }) => keyPattern === undefined || !isKeyPatternSyntax(keyPattern) || isKeyPattern(keyPattern),
  message: '`keyPattern` must have ranges such as a-z and counts such as {1,12}, the smaller end first',
  reason: 'FieldValueInvalid',
  fieldPath: '.keyPattern',
};
