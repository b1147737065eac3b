import { type ContractCase, get, lease, lock, patch, post, put, remove } from '../contract-case.ts';

const stale = { metadata: { name: 'a', resourceVersion: '{{first.metadata.resourceVersion}}' } };
const CONFLICT = { code: 409, reason: 'Conflict' };

/** Compare and swap: whose write counts, and what is not written. */
export const versionCases: readonly ContractCase[] = [
  {
    name: 'a PUT of the newest version counts, one of an older version does not',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      put('locks/a', lock('a', { permits: 2 }, stale.metadata), { as: 'second', says: { spec: { permits: 2 } } }),
      put('locks/a', lock('a', { permits: 3 }, stale.metadata), CONFLICT),
      get('locks/a', { says: { spec: { permits: 2 }, metadata: { generation: 2 } } }),
    ],
  },
  {
    name: 'a Lease is taken by one of two who saw the same version',
    steps: [
      post('leases', lease('a', { holderIdentity: 'one', leaseDurationSeconds: 15 }), { as: 'first' }),
      put('leases/a', lease('a', { holderIdentity: 'two', leaseDurationSeconds: 15 }, stale.metadata)),
      put('leases/a', lease('a', { holderIdentity: 'three', leaseDurationSeconds: 15 }, stale.metadata), CONFLICT),
      get('leases/a', { says: { spec: { holderIdentity: 'two' } } }),
    ],
  },
  {
    name: 'a version that never was conflicts',
    steps: [
      post('leases', lease('a')),
      put('leases/a', lease('a', {}, { resourceVersion: '1' }), CONFLICT),
      patch('merge', 'leases/a', { metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'me' } }, CONFLICT),
      patch('merge', 'leases/a', { metadata: { resourceVersion: '1' } }, CONFLICT),
    ],
  },
  {
    name: 'a version that is no number is refused',
    steps: [
      post('locks', lock('a')),
      put('locks/a', lock('a', {}, { resourceVersion: 'new' }), { code: 500 }),
      post('leases', lease('a')),
      put('leases/a', lease('a', {}, { resourceVersion: 'new' }), { code: 500 }),
    ],
  },
  {
    name: 'a PUT without a version is refused',
    steps: [
      post('locks', lock('a')),
      put('locks/a', lock('a', { permits: 2 }), {
        code: 422,
        reason: 'Invalid',
        causes: [['FieldValueInvalid', 'metadata.resourceVersion']],
      }),
      post('leases', lease('a')),
      put('leases/a', lease('a', { holderIdentity: 'me' }), { code: 422, reason: 'Invalid' }),
    ],
  },
  {
    name: 'another life of the same name conflicts',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      remove('locks/a'),
      post('locks', lock('a')),
      put('locks/a', lock('a', {}, { resourceVersion: '{{first.metadata.resourceVersion}}' }), CONFLICT),
      put(
        'locks/a',
        lock('a', {}, { uid: '{{first.metadata.uid}}', resourceVersion: '{{first.metadata.resourceVersion}}' }),
        CONFLICT,
      ),
      put('locks/a', lock('a', {}, { uid: '{{first.metadata.uid}}' }), CONFLICT),
    ],
  },
  {
    name: 'another uid with the newest version conflicts',
    steps: [
      post('leases', lease('a'), { as: 'first' }),
      put(
        'leases/a',
        lease(
          'a',
          { holderIdentity: 'me' },
          { resourceVersion: '{{first.metadata.resourceVersion}}', uid: '00000000-0000-4000-8000-000000000000' },
        ),
        CONFLICT,
      ),
    ],
  },
  {
    name: 'a patch to another uid is refused',
    steps: [
      post('locks', lock('a')),
      patch(
        'merge',
        'locks/a',
        { metadata: { uid: '00000000-0000-4000-8000-000000000000' } },
        { code: 422, reason: 'Invalid' },
      ),
    ],
  },
  {
    name: 'a name is created once',
    steps: [
      post('locks', lock('a', { permits: 2 })),
      post('locks', lock('a'), { code: 409, reason: 'AlreadyExists' }),
      post('leases', lease('a')),
      post('leases', lease('a'), { code: 409, reason: 'AlreadyExists' }),
      get('locks/a', { says: { spec: { permits: 2 } } }),
    ],
  },
  {
    name: 'a creation with a version is refused',
    steps: [post('locks', lock('a', {}, { resourceVersion: '1' }), { code: 500 }), get('locks/a', { code: 404 })],
  },
  {
    name: 'a PUT of a lock that is not there is refused',
    steps: [
      put('locks/a', lock('a', {}, { resourceVersion: '1' }), { code: 404, reason: 'NotFound' }),
      put('locks/a', lock('a'), { code: 404, reason: 'NotFound' }),
      get('locks/a', { code: 404, reason: 'NotFound' }),
    ],
  },
  {
    name: 'a PUT of a Lease that is not there creates it',
    steps: [
      put('leases/a', lease('a', { holderIdentity: 'me' }), { code: 201 }),
      put('leases/b', lease('b', { holderIdentity: 'me' }, { resourceVersion: '1' }), { code: 201 }),
    ],
  },
  {
    name: 'a write that changes nothing keeps the version',
    steps: [
      post('locks', lock('a', { permits: 2 }), { as: 'first' }),
      put('locks/a', '{{first}}', {
        says: { metadata: { resourceVersion: '{{first.metadata.resourceVersion}}', generation: 1 } },
      }),
      patch(
        'merge',
        'locks/a',
        { spec: { permits: 2 } },
        {
          says: { metadata: { resourceVersion: '{{first.metadata.resourceVersion}}' } },
        },
      ),
      patch('json', 'locks/a', [{ op: 'test', path: '/spec/permits', value: 2 }], {
        says: { metadata: { resourceVersion: '{{first.metadata.resourceVersion}}' } },
      }),
      post('leases', lease('a', { holderIdentity: 'me' }), { as: 'lease' }),
      put('leases/a', '{{lease}}', {
        says: { metadata: { resourceVersion: '{{lease.metadata.resourceVersion}}' } },
      }),
    ],
  },
  {
    name: 'what only the server sets is not taken from a client',
    steps: [
      post(
        'locks',
        lock(
          'a',
          {},
          { generation: 7, creationTimestamp: '2020-01-01T00:00:00Z', deletionTimestamp: '2020-01-01T00:00:00Z' },
        ),
        { as: 'first', says: { metadata: { generation: 1 } } },
      ),
      put(
        'locks/a',
        lock(
          'a',
          { permits: 2 },
          {
            generation: 9,
            creationTimestamp: '2020-01-01T00:00:00Z',
            resourceVersion: '{{first.metadata.resourceVersion}}',
          },
        ),
        { says: { metadata: { generation: 2, creationTimestamp: '{{first.metadata.creationTimestamp}}' } } },
      ),
    ],
  },
  {
    name: 'the generation counts changes of the spec',
    steps: [
      post('locks', lock('a')),
      patch('merge', 'locks/a', { metadata: { labels: { team: 'x' } } }, { says: { metadata: { generation: 1 } } }),
      patch('merge', 'locks/a/status', { status: { waiters: 1 } }, { says: { metadata: { generation: 1 } } }),
      patch('merge', 'locks/a', { spec: { permits: 2 } }, { says: { metadata: { generation: 2 } } }),
      post('leases', lease('a'), { as: 'lease' }),
      patch('merge', 'leases/a', { spec: { holderIdentity: 'me' } }),
    ],
  },
  {
    name: 'a name is made up from its beginning',
    steps: [
      post('locks', { ...lock('a'), metadata: { generateName: 'build-' } }),
      post('leases', { ...lease('a'), metadata: { generateName: 'lease-' } }),
      post('locks', { ...lock('a'), metadata: {} }, { code: 422, reason: 'Invalid' }),
      post('leases', { ...lease('a'), metadata: {} }, { code: 422, reason: 'Invalid' }),
    ],
  },
];
