/** Lines shown around every change. */
const CONTEXT_LINES = 4;

/**
 * What changed between two texts, line by line: ` ` kept, `-` expected and missing, `+` not expected; empty if they are equal.
 * Every group of changes begins with its line number in the expected text.
 */
export function differenceOf(expected: string, actual: string): string {
  if (expected === actual) return '';
  const steps = align(expected.split('\n'), actual.split('\n'));
  const shown = new Set<number>();
  for (const [index, step] of steps.entries()) {
    if (step.mark === ' ') continue;
    for (let near = index - CONTEXT_LINES; near <= index + CONTEXT_LINES; near++) shown.add(near);
  }
  const lines: string[] = [];
  let last = -2;
  for (const [index, { mark, text, lineNumber }] of steps.entries()) {
    if (!shown.has(index)) continue;
    if (index !== last + 1) lines.push(`@ line ${lineNumber}`);
    lines.push(`${mark} ${text}`);
    last = index;
  }
  return lines.join('\n');
}

interface AlignedLine {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
  readonly lineNumber: number;
}

/** By the longest common subsequence; a transcript is short enough for the plain table. */
function align(before: readonly string[], after: readonly string[]): AlignedLine[] {
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  const lengthAt = (left: number, right: number) => common[left]?.[right] ?? 0;
  for (let left = before.length - 1; left >= 0; left--) {
    for (let right = after.length - 1; right >= 0; right--) {
      (common[left] as Uint32Array)[right] =
        before[left] === after[right]
          ? lengthAt(left + 1, right + 1) + 1
          : Math.max(lengthAt(left + 1, right), lengthAt(left, right + 1));
    }
  }
  const lines: AlignedLine[] = [];
  let left = 0;
  let right = 0;
  while (left < before.length || right < after.length) {
    const lineNumber = left + 1;
    if (left < before.length && right < after.length && before[left] === after[right]) {
      lines.push({ mark: ' ', text: before[left] as string, lineNumber });
      left++;
      right++;
    } else if (
      right >= after.length ||
      (left < before.length && lengthAt(left + 1, right) >= lengthAt(left, right + 1))
    ) {
      lines.push({ mark: '-', text: before[left++] as string, lineNumber });
    } else {
      lines.push({ mark: '+', text: after[right++] as string, lineNumber });
    }
  }
  return lines;
}
