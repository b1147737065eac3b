import type { DistributedLockSpec, LockPoolSpec } from '../policies.ts';
import type { ValidationRule } from './validation-rule.ts';

/** Relations between the fields of a spec. Defaults are filled in before they are judged, here and by the API server. */
export const maxHoldRule: ValidationRule<Pick<DistributedLockSpec, 'maxHoldSeconds' | 'leaseDurationSeconds'>> = {
  rule: '!has(self.maxHoldSeconds) || self.maxHoldSeconds >= self.leaseDurationSeconds',
  isMet: ({ maxHoldSeconds, leaseDurationSeconds }) =>
    maxHoldSeconds === undefined || maxHoldSeconds >= leaseDurationSeconds,
  message:
    '`maxHoldSeconds` ({maxHoldSeconds}) must be at least `leaseDurationSeconds` ({leaseDurationSeconds}): a hold would end before its first time to live is over',
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
