import { ApiError, badRequest, generic } from './api-error.ts';
import { isEqual, isObject } from './json.ts';

/** More operations than an API server takes in one patch. */
const OPERATIONS_MAX = 10_000;

/** JSON patch, RFC 6902, all or nothing. Throws `ApiError`: 400 for what is no patch, 422 for one that does not fit the document. */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('A JSON patch is a list of operations.');
  if (patch.length > OPERATIONS_MAX) {
    const message = `The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${patch.length}`;
    throw new ApiError(413, 'RequestEntityTooLarge', message);
  }
  return patch.reduce<unknown>(applyOperation, document);
}

function applyOperation(document: unknown, operation: unknown): unknown {
  if (!isObject(operation) || typeof operation['path'] !== 'string')
    throw badRequest('Each operation of a JSON patch has an "op" and a "path".');
  const path = pathOf(operation['path']);
  const from = () => {
    if (typeof operation['from'] !== 'string') throw badRequest('This operation of a JSON patch needs a "from".');
    return pathOf(operation['from']);
  };
  const value = () => {
    if (!Object.hasOwn(operation, 'value')) throw badRequest('This operation of a JSON patch needs a "value".');
    return operation['value'];
  };
  switch (operation['op']) {
    case 'add':
      return change(document, path, 'add', value());
    case 'replace':
      read(document, path);
      return change(document, path, 'replace', value());
    case 'remove':
      read(document, path);
      return change(document, path, 'remove', undefined);
    case 'copy':
      return change(document, path, 'add', read(document, from()));
    case 'move': {
      const origin = from();
      if (path.length > origin.length && origin.every((key, index) => key === path[index]))
        throw unfit('a value cannot be moved into itself');
      const moved = read(document, origin);
      return change(change(document, origin, 'remove', undefined), path, 'add', moved);
    }
    case 'test':
      if (isEqual(read(document, path), value())) return document;
      throw unfit(`testing value ${operation['path']} failed`);
    default:
      throw unfit(`there is no operation ${JSON.stringify(operation['op'])}`);
  }
}

function pathOf(pointer: string): readonly string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) throw badRequest(`"${pointer}" is no JSON pointer.`);
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: unknown, path: readonly string[]): unknown {
  let value = document;
  for (const key of path) {
    if (Array.isArray(value)) value = value[indexOf(value, key, value.length - 1)];
    else if (isObject(value) && Object.hasOwn(value, key)) value = value[key];
    else throw missing(path);
  }
  return value;
}

/** A copy of the document with one place changed. */
function change(
  document: unknown,
  [key, ...rest]: readonly string[],
  how: 'add' | 'replace' | 'remove',
  value: unknown,
): unknown {
  if (key === undefined) return how === 'remove' ? null : value;
  if (Array.isArray(document)) {
    const last = rest.length === 0;
    const index = last && how === 'add' && key === '-' ? document.length : indexOf(document, key, document.length);
    if (!last) return document.with(index, change(document[index], rest, how, value));
    if (how === 'add') return document.toSpliced(index, 0, value);
    return how === 'remove' ? document.toSpliced(index, 1) : document.with(index, value);
  }
  if (!isObject(document)) throw missing([key, ...rest]);
  if (rest.length === 0 && how === 'remove') {
    const { [key]: _removed, ...others } = document;
    return others;
  }
  if (rest.length > 0 && !Object.hasOwn(document, key)) throw missing([key, ...rest]);
  return { ...document, [key]: rest.length === 0 ? value : change(document[key], rest, how, value) };
}

function indexOf(list: readonly unknown[], key: string, largest: number): number {
  if (!/^(?:0|[1-9]\d*)$/.test(key) || Number(key) > largest)
    throw unfit(`"${key}" is no index of a list of ${list.length}`);
  return Number(key);
}

function missing(path: readonly string[]): ApiError {
  return unfit(`there is nothing at /${path.join('/')}`);
}

function unfit(why: string): ApiError {
  return generic(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`);
}
