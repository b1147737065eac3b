import { isObject } from './json.ts';

type Step = (value: unknown) => readonly unknown[];

const STEP =
  /^(?:\.((?:\\.|[^.[\\])+)|\[(?:'([^']*)'|"([^"]*)"|(\d+)|(\*)|\?\(@\.([\w.]+)\s*==\s*(?:"([^"]*)"|'([^']*)')\))\])/;

/** Reads the JSONPath of a column: fields, `['a']`, `[0]`, `[*]` and `[?(@.type=="Ready")]`. Throws RangeError for another. */
export function jsonPath(text: string): (value: unknown) => readonly unknown[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '') {
    const match = STEP.exec(rest);
    if (match === null) throw new RangeError(`The JSONPath "${text}" cannot be read from "${rest}" on.`);
    steps.push(stepOf(match));
    rest = rest.slice(match[0].length);
  }
  return (value) => steps.reduce<readonly unknown[]>((values, step) => values.flatMap(step), [value]);
}

function stepOf(match: RegExpExecArray): Step {
  const [, plain, single, double, index, all, filter, ...texts] = match;
  const name = plain?.replaceAll(/\\(.)/g, '$1') ?? single ?? double;
  if (name !== undefined) return (value) => fieldOf(value, name);
  if (index !== undefined)
    return (value) => (Array.isArray(value) ? value.slice(Number(index), Number(index) + 1) : []);
  if (all !== undefined) return (value) => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []);
  const path = (filter ?? '').split('.');
  const wanted = texts.find((text) => text !== undefined);
  return (value) =>
    Array.isArray(value)
      ? value.filter((item) => path.reduce<unknown>((inner, key) => fieldOf(inner, key)[0], item) === wanted)
      : [];
}

function fieldOf(value: unknown, name: string): readonly unknown[] {
  return isObject(value) && Object.hasOwn(value, name) && value[name] !== undefined ? [value[name]] : [];
}
