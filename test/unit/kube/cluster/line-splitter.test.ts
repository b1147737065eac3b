/** Goal: the lines of a stream come out whole, wherever it is cut. Method: every cut of a text with characters of all lengths. */
import { describe, expect, test } from '@jest/globals';
import { LineSplitter, LineTooLong } from '../../../../src/kube/cluster/line-splitter.ts';

const lines = ['{"a":1}', '{"name":"Grüße, 世界, 🔒"}', 'x', '{"last":true}'];
const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));

function split(chunks: readonly Buffer[], lineBytesMax = 1_000): string[] {
  const splitter = new LineSplitter(lineBytesMax);
  return chunks.flatMap((chunk) => [...splitter.split(chunk)]);
}

describe('lines', () => {
  test('are the same wherever the stream is cut in two or in three', () => {
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(split(chunks)).toEqual(lines);
      }
    }
  });

  test('are the same byte by byte', () => {
    expect(split(Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(lines);
  });

  test('come only once they are complete, and empty ones never', () => {
    expect(split([Buffer.from('\n\na\n\nb')])).toEqual(['a']);
    expect(split([Buffer.from('a'), Buffer.from('b'), Buffer.from('\n')])).toEqual(['ab']);
  });

  test('that grow too long end the stream, in one chunk or in many', () => {
    expect(split([Buffer.from(`${'x'.repeat(10)}\n`)], 10)).toEqual(['x'.repeat(10)]);
    expect(() => split([Buffer.from(`${'x'.repeat(11)}\n`)], 10)).toThrow(LineTooLong);
    expect(() =>
      split(
        Array.from({ length: 11 }, () => Buffer.from('x')),
        10,
      ),
    ).toThrow(LineTooLong);
  });
});
