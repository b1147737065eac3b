/**
 * `keyPattern` of a LockPool: which keys the pool takes. The language is the part of RE2 that needs no search: alternatives,
 * each a row of single characters, with a count behind some. It has no groups, no anchors (the whole key must match) and no
 * back-references, so a key is judged in O(key × pattern) steps, whatever the pattern.
 *
 * - `a` itself; `.` any character; `\d` a digit; `\.` and `\+` the dot and the plus
 * - `[a-z0-9_]` one of these; `[^/]` any but these
 * - behind any of them: `?` `*` `+` `{3}` `{1,12}` `{2,}`
 * - `order-\d+|refund-\d+`: either
 */
const CHARACTER = String.raw`[A-Za-z0-9_~@=,/.-]|\\[d.+]`;
const CLASS = String.raw`\[\^?(?:[A-Za-z0-9_~@=,/.+-]|\\[d.+])+\]`;
const COUNT = String.raw`[?*+]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\}`;
const ROW = `(?:(?:${CHARACTER}|${CLASS})(?:${COUNT})?)+`;

/** What a `keyPattern` looks like: a regular expression that RE2 and JavaScript read alike. */
export const KEY_PATTERN_SYNTAX = `^${ROW}(?:\\|${ROW})*$`;
const syntax = new RegExp(KEY_PATTERN_SYNTAX);
const items = new RegExp(`(${CHARACTER}|${CLASS})(${COUNT})?`, 'g');

/** One character of a row and how often it may stand there. */
interface Item {
  readonly matches: (character: string) => boolean;
  readonly countMin: number;
  /** Infinity for no end. */
  readonly countMax: number;
}

export function isKeyPatternSyntax(pattern: string): boolean {
  return syntax.test(pattern);
}

/** Whether its ranges (`[z-a]`) and counts (`{5,2}`) make sense too: a regular expression library takes it. */
export function isKeyPattern(pattern: string): boolean {
  if (!isKeyPatternSyntax(pattern)) return false;
  try {
    return new RegExp(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}

/** The judge of keys of at most `LIMITS.poolKeyLengthMax` characters. The pattern must be a `keyPattern`. */
export function compileKeyPattern(pattern: string): (key: string) => boolean {
  const rows = splitRows(pattern).map((row) => [...row.matchAll(items)].map(itemOf));
  return (key) => rows.some((row) => matchesRow(row, key));
}

/** A bar inside a class is no bar: the syntax has none there. */
function splitRows(pattern: string): string[] {
  return pattern.split('|');
}

function itemOf([, character = '', count = '']: RegExpExecArray): Item {
  const [countMin, countMax] = rangeOf(count);
  const single = new RegExp(`^${character}$`, 's');
  const known = new Map<string, boolean>();
  const matches = (given: string) => {
    let answer = known.get(given);
    if (answer === undefined) known.set(given, (answer = single.test(given)));
    return answer;
  };
  return { matches, countMin, countMax };
}

function rangeOf(count: string): readonly [number, number] {
  if (count === '') return [1, 1];
  if (count === '?') return [0, 1];
  if (count === '*') return [0, Number.POSITIVE_INFINITY];
  if (count === '+') return [1, Number.POSITIVE_INFINITY];
  const [from = '', to = from] = count.slice(1, -1).split(',');
  return [Number(from), to === '' ? Number.POSITIVE_INFINITY : Number(to)];
}

/** Item by item, keeps the positions of the key that the row so far can end at. */
function matchesRow(row: readonly Item[], key: string): boolean {
  let ends = new Array<boolean>(key.length + 1).fill(false);
  ends[0] = true;
  for (const item of row) ends = endsAfter(item, key, ends);
  return ends[key.length] === true;
}

/**
 * A position can be reached if a start lies `countMin` to `countMax` characters before it, all of which match. Of those starts
 * the nearest that is far enough is always the best one.
 */
function endsAfter({ matches, countMin, countMax }: Item, key: string, starts: readonly boolean[]): boolean[] {
  const ends = new Array<boolean>(key.length + 1).fill(false);
  /** The last start that is at least `countMin` before the position; none is -Infinity. */
  let start = Number.NEGATIVE_INFINITY;
  let runFrom = 0;
  for (let position = 0; position <= key.length; position++) {
    if (position > 0 && !matches(key[position - 1] as string)) runFrom = position;
    if (starts[position - countMin] === true) start = position - countMin;
    ends[position] = start >= runFrom && position - start <= countMax;
  }
  return ends;
}
