import { type ContractCase, get, lease, lock, patch, pool, post, put } from '../contract-case.ts';

const BAD = { code: 400, reason: 'BadRequest' };
const INVALID = { code: 422, reason: 'Invalid' };

/** Every kind of patch, and the two halves of an object. */
export const patchCases: readonly ContractCase[] = [
  {
    name: 'a merge patch changes, adds and removes',
    steps: [
      post('locks', lock('a', { permits: 2, maxHoldSeconds: 60 }, { labels: { team: 'x', app: 'y' } })),
      patch(
        'merge',
        'locks/a',
        { spec: { permits: 3, maxHoldSeconds: null }, metadata: { labels: { app: null } } },
        {
          says: { spec: { permits: 3 }, metadata: { labels: { team: 'x' } } },
        },
      ),
      patch('merge', 'locks/a', { spec: { permits: null } }, { says: { spec: { permits: 1 } } }),
      patch('merge', 'locks/a', { metadata: { labels: null, annotations: { note: 'x' } } }),
      patch('merge', 'locks/a', { spec: null }, { says: { spec: { leaseDurationSeconds: 15 } } }),
    ],
  },
  {
    name: 'a merge patch that makes an object invalid is refused whole',
    steps: [
      post('locks', lock('a')),
      patch(
        'merge',
        'locks/a',
        { metadata: { labels: { team: 'x' } }, spec: { permits: 0 } },
        {
          ...INVALID,
          causes: [['FieldValueInvalid', 'spec.permits']],
        },
      ),
      get('locks/a', { says: { spec: { permits: 1 } } }),
    ],
  },
  {
    name: 'a JSON patch tests, adds, replaces, moves, copies and removes',
    steps: [
      post('locks', lock('a', { permits: 2, maxHoldSeconds: 60 })),
      patch('json', 'locks/a', [
        { op: 'test', path: '/spec/permits', value: 2 },
        { op: 'replace', path: '/spec/permits', value: 3 },
        { op: 'add', path: '/metadata/labels', value: { 'a/b': 'x' } },
        { op: 'copy', from: '/metadata/labels/a~1b', path: '/metadata/labels/c' },
        { op: 'move', from: '/metadata/labels/c', path: '/metadata/labels/d' },
        { op: 'remove', path: '/spec/maxHoldSeconds' },
      ]),
      patch('json', 'locks/a', [{ op: 'add', path: '/metadata/finalizers', value: ['example.com/x'] }]),
      patch('json', 'locks/a', [{ op: 'add', path: '/metadata/finalizers/-', value: 'example.com/y' }]),
      patch('json', 'locks/a', [{ op: 'remove', path: '/metadata/finalizers/0' }]),
      patch('json', 'locks/a', [{ op: 'remove', path: '/metadata/finalizers' }]),
    ],
  },
  {
    name: 'a JSON patch that does not fit is refused whole',
    steps: [
      post('locks', lock('a')),
      patch('json', 'locks/a', [{ op: 'test', path: '/spec/permits', value: 2 }], INVALID),
      patch('json', 'locks/a', [{ op: 'remove', path: '/spec/maxHoldSeconds' }], INVALID),
      patch('json', 'locks/a', [{ op: 'replace', path: '/metadata/labels/x', value: 'y' }], INVALID),
      patch('json', 'locks/a', [{ op: 'increase', path: '/spec/permits', value: 1 }], INVALID),
      patch('json', 'locks/a', { spec: {} }, BAD),
      patch('json', 'locks/a', '[{', BAD),
      get('locks/a'),
    ],
  },
  {
    name: 'a strategic merge patch is for built-in kinds',
    steps: [
      post('leases', lease('a', { holderIdentity: 'one', leaseDurationSeconds: 15 }, { annotations: { note: 'x' } })),
      patch('strategic', 'leases/a', { spec: { holderIdentity: 'two' }, metadata: { annotations: { more: 'y' } } }),
      patch('strategic', 'leases/a', { spec: { leaseDurationSeconds: null } }),
      patch('strategic', 'leases/a', { metadata: { finalizers: ['example.com/x'] } }),
      patch(
        'strategic',
        'leases/a',
        { metadata: { finalizers: ['example.com/y'] } },
        {
          says: { metadata: { finalizers: ['example.com/y', 'example.com/x'] } },
        },
      ),
      patch('strategic', 'leases/a', {
        metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/x', 'example.com/y'] },
      }),
      patch('strategic', 'leases/a', { spec: { $patch: 'replace', holderIdentity: 'three' } }),
      patch('strategic', 'leases/a', { spec: { leaseDurationSeconds: 0 } }, INVALID),
      post('locks', lock('a')),
      patch('strategic', 'locks/a', { spec: { permits: 2 } }, { code: 415, reason: 'UnsupportedMediaType' }),
    ],
  },
  {
    name: 'a patch of an unknown type is refused',
    steps: [
      post('locks', lock('a')),
      patch('merge', 'locks/a', { spec: {} }, { headers: { 'content-type': 'application/json' }, code: 415 }),
      patch('merge', 'locks/a', { spec: {} }, { headers: {}, code: 415 }),
      patch('merge', 'locks/a', '{', BAD),
      patch('merge', 'locks/a', '[]', BAD),
      patch('merge', 'locks/none', { spec: {} }, { code: 404, reason: 'NotFound' }),
    ],
  },
  {
    name: 'the status is written by itself and alone',
    steps: [
      post('locks', { ...lock('a'), status: { waiters: 5 } }, { as: 'first' }),
      patch('merge', 'locks/a', { status: { waiters: 5 }, spec: { permits: 2 } }),
      patch(
        'merge',
        'locks/a/status',
        { status: { waiters: 5 }, spec: { permits: 3 }, metadata: { labels: { a: 'b' } } },
        {
          says: { status: { waiters: 5 }, spec: { permits: 2 } },
        },
      ),
      get('locks/a/status', { as: 'now' }),
      put(
        'locks/a/status',
        {
          ...lock('a', { permits: 7 }, { resourceVersion: '{{now.metadata.resourceVersion}}' }),
          status: { waiters: 6 },
        },
        {
          says: { status: { waiters: 6 }, spec: { permits: 2 } },
        },
      ),
      put(
        'locks/a/status',
        { ...lock('a', {}, { resourceVersion: '{{now.metadata.resourceVersion}}' }), status: { waiters: 7 } },
        {
          code: 409,
        },
      ),
      patch('json', 'locks/a/status', [{ op: 'replace', path: '/status/waiters', value: 8 }]),
      patch('json', 'locks/a/status', [{ op: 'remove', path: '/status' }]),
    ],
  },
  {
    name: 'the status is checked',
    steps: [
      post('locks', lock('a')),
      patch('merge', 'locks/a/status', { status: { waiters: -1 } }, INVALID),
      patch('merge', 'locks/a/status', { status: { heldSince: 'noon' } }, INVALID),
      patch('merge', 'locks/a/status', { status: { later: 1 } }),
      patch('merge', 'locks/a/status', { status: { conditions: [{ type: 'Held', status: 'Perhaps' }] } }, INVALID),
      post('pools', pool('a')),
      patch('merge', 'pools/a/status', { status: { holds: 3, grants: 9 } }),
      get('leases/a/status', { code: 404 }),
    ],
  },
  {
    name: 'a dry run answers and stores nothing',
    steps: [
      post('locks?dryRun=All', lock('a', { permits: 2 })),
      get('locks/a', { code: 404 }),
      post('locks', lock('a'), { as: 'first' }),
      post('locks?dryRun=All', lock('a'), { code: 409 }),
      patch('merge', 'locks/a?dryRun=All', { spec: { permits: 3 } }, { says: { spec: { permits: 3 } } }),
      patch('merge', 'locks/a?dryRun=All', { spec: { permits: 0 } }, { code: 422 }),
      get('locks/a', { says: { metadata: { resourceVersion: '{{first.metadata.resourceVersion}}' } } }),
      post('locks?dryRun=Some', lock('b'), { code: 422 }),
      post('leases?dryRun=All', lease('a')),
      get('leases/a', { code: 404 }),
    ],
  },
];
