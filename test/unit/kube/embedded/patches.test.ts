/**
 * Goal: the three kinds of patch do what their specifications say.
 * Method: the examples of RFC 7386 and RFC 6902 as tables, and what `kubectl` sends as strategic merge.
 */
import { describe, expect, test } from '@jest/globals';
import { jsonPatch } from '../../../../src/kube/embedded/json-patch.ts';
import { mergePatch } from '../../../../src/kube/embedded/merge-patch.ts';
import { strategicMerge } from '../../../../src/kube/embedded/strategic-merge.ts';

describe('merge patch (RFC 7386, appendix A)', () => {
  test.each<[unknown, unknown, unknown]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j and %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  test('a field called __proto__ is a field like others', () => {
    const result = mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as object;
    expect(Object.keys(result)).toEqual(['__proto__']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('JSON patch (RFC 6902, appendix A)', () => {
  test.each<[string, unknown, unknown[], unknown]>([
    ['adds a field', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 1 }], { foo: 'bar', baz: 1 }],
    ['adds an item', { a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    ['appends', { a: [1] }, [{ op: 'add', path: '/a/-', value: [2] }], { a: [1, [2]] }],
    ['removes a field', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['removes an item', { a: [1, 2, 3] }, [{ op: 'remove', path: '/a/1' }], { a: [1, 3] }],
    ['replaces', { a: [1] }, [{ op: 'replace', path: '/a/0', value: 2 }], { a: [2] }],
    ['replaces all', { a: 1 }, [{ op: 'replace', path: '', value: 2 }], 2],
    ['moves', { a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
    ['moves an item', { a: [1, 2, 3] }, [{ op: 'move', from: '/a/0', path: '/a/2' }], { a: [2, 3, 1] }],
    ['copies', { a: 1 }, [{ op: 'copy', from: '/a', path: '/b' }], { a: 1, b: 1 }],
    ['tests', { a: { b: [1] } }, [{ op: 'test', path: '/a', value: { b: [1] } }], { a: { b: [1] } }],
    [
      'reads escapes',
      { 'a/b': 1, 'm~n': 2 },
      [
        { op: 'remove', path: '/a~1b' },
        { op: 'test', path: '/m~0n', value: 2 },
      ],
      { 'm~n': 2 },
    ],
  ])('%s', (_what, document, patch, result) => {
    expect(jsonPatch(document, patch)).toEqual(result);
  });

  test.each<[string, unknown, unknown, number]>([
    ['no list', {}, { op: 'add' }, 400],
    ['an operation that is none', {}, [{ op: 'spam', path: '/a' }], 422],
    ['no path', {}, [{ op: 'remove' }], 400],
    ['a path without a slash', { a: 1 }, [{ op: 'remove', path: 'a' }], 400],
    ['no value', {}, [{ op: 'add', path: '/a' }], 400],
    ['no from', {}, [{ op: 'move', path: '/a' }], 400],
    ['a test that fails', { a: '10' }, [{ op: 'test', path: '/a', value: 10 }], 422],
    ['the removal of nothing', {}, [{ op: 'remove', path: '/a' }], 422],
    ['the replacement of nothing', {}, [{ op: 'replace', path: '/a', value: 1 }], 422],
    ['a parent that is not there', {}, [{ op: 'add', path: '/a/b', value: 1 }], 422],
    ['an index past the end', { a: [] }, [{ op: 'add', path: '/a/1', value: 1 }], 422],
    ['an index with a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }], 422],
    ['a move into itself', { a: { b: 1 } }, [{ op: 'move', from: '/a', path: '/a/b' }], 422],
  ])('refuses %s and leaves the document', (_what, document, patch, code) => {
    const before = structuredClone(document);
    const refusal = (() => {
      try {
        return jsonPatch(document, patch);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toMatchObject({ name: 'StoreError', code });
    expect(document).toEqual(before);
  });
});

describe('strategic merge patch', () => {
  test.each<[string, unknown, unknown, unknown]>([
    ['merges objects and removes by null', { a: { b: 1, c: 2 } }, { a: { b: null, d: 3 } }, { a: { c: 2, d: 3 } }],
    [
      'replaces other lists',
      { spec: { finalizers: ['a'] } },
      { spec: { finalizers: ['b'] } },
      { spec: { finalizers: ['b'] } },
    ],
    [
      'adds finalizers',
      { metadata: { finalizers: ['a'] } },
      { metadata: { finalizers: ['b'] } },
      { metadata: { finalizers: ['b', 'a'] } },
    ],
    [
      'removes a finalizer',
      { metadata: { finalizers: ['a', 'b'] } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['b'] } },
      { metadata: { finalizers: ['b'] } },
    ],
    [
      'merges owners by uid',
      { metadata: { ownerReferences: [{ uid: '1', name: 'x' }] } },
      { metadata: { ownerReferences: [{ uid: '1', name: 'y' }, { uid: '2' }] } },
      { metadata: { ownerReferences: [{ uid: '1', name: 'y' }, { uid: '2' }] } },
    ],
    [
      'deletes an owner',
      { metadata: { ownerReferences: [{ uid: '1' }, { uid: '2' }] } },
      { metadata: { ownerReferences: [{ $patch: 'delete', uid: '1' }] } },
      { metadata: { ownerReferences: [{ uid: '2' }] } },
    ],
    ['replaces by directive', { a: { b: 1 } }, { a: { $patch: 'replace', c: 2 } }, { a: { c: 2 } }],
    ['deletes by directive', { a: { b: 1 }, c: 1 }, { a: { $patch: 'delete' } }, { c: 1 }],
    ['keeps keys by directive', { a: { b: 1, c: 2 } }, { a: { $retainKeys: ['c'], c: 3 } }, { a: { c: 3 } }],
  ])('%s', (_what, target, patch, result) => {
    expect(strategicMerge(target, patch)).toEqual(result);
  });
});
