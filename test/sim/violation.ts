/** A rule was broken. `rule` is a stable word by which shrinking and mutations recognise it. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly rule: Rule;
  /** Words that pick the events worth showing. */
  readonly about: readonly string[];

  constructor(rule: Rule, message: string, about: readonly string[] = []) {
    super(message);
    this.rule = rule;
    this.about = about;
  }
}

export type Rule =
  | 'mutual-exclusion'
  | 'token-order'
  | 'token-unique'
  | 'token-after-release'
  | 'grant-before-record'
  | 'promise-before-record'
  | 'fifo-order'
  | 'priority-order'
  | 'phase-fairness'
  | 'waiter-without-end'
  | 'no-progress'
  | 'leak'
  | 'audit-disagrees'
  | 'engine-invariant'
  | 'release-of-live-hold'
  | 'superseded-frame'
  | 'forced-end-undone'
  | 'crash';
