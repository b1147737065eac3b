import { type ContractCase, get, lease, lock, post, put, remove, request } from '../contract-case.ts';

const BAD = { code: 400, reason: 'BadRequest' };
const NOT_FOUND = { code: 404, reason: 'NotFound' };
const NOT_ALLOWED = { code: 405, reason: 'MethodNotAllowed' };
const TOO_LARGE = JSON.stringify(lock('a', {}, { annotations: { a: 'x'.repeat(3 * 1024 * 1024) } }));

/** Requests that make no sense, and what is said about them. */
export const errorCases: readonly ContractCase[] = [
  {
    name: 'a kind, a group or a version that is not served',
    steps: [
      get('/apis/lockkeeper.dev/v1alpha1/namespaces/$NAMESPACE/nothings', { code: 404 }),
      get('/apis/lockkeeper.dev/v9/namespaces/$NAMESPACE/distributedlocks', { code: 404 }),
      get('/apis/none.example/v1/things', { code: 404 }),
      get('/apis/lockkeeper.dev/v9', { code: 404 }),
      get('/apis/none.example', { code: 404 }),
      get('/api/v9', { code: 404 }),
      get('/nothing', { code: 404 }),
      get('/api/v1/namespaces/$NAMESPACE/nothings', NOT_FOUND),
      get('locks/a/scale', { code: 404 }),
      get('locks/a/status/more', { code: 404 }),
    ],
  },
  {
    name: 'an object that is not there',
    steps: [
      get('locks/none', NOT_FOUND),
      get('leases/none', NOT_FOUND),
      get('locks/none/status', NOT_FOUND),
      get('/api/v1/namespaces/$NAMESPACE-none', NOT_FOUND),
      get('/apis/lockkeeper.dev/v1alpha1/namespaces/$NAMESPACE-none/distributedlocks', { says: { items: [] } }),
    ],
  },
  {
    name: 'a creation in a namespace that is not there',
    steps: [
      post('/apis/lockkeeper.dev/v1alpha1/namespaces/$NAMESPACE-none/distributedlocks', lock('a'), NOT_FOUND),
      post('/apis/coordination.k8s.io/v1/namespaces/$NAMESPACE-none/leases', lease('a'), NOT_FOUND),
    ],
  },
  {
    name: 'a method that the path does not have',
    steps: [
      post('locks/a', lock('a'), { code: 201 }),
      post('leases/a', lease('a'), NOT_ALLOWED),
      put('locks', lock('a'), BAD),
      put('leases', lease('a'), NOT_ALLOWED),
      request('PATCH', 'locks', {}, { headers: { 'content-type': 'application/merge-patch+json' }, ...BAD }),
      remove('locks/a/status', undefined, NOT_ALLOWED),
      post('locks/a/status', lock('a'), NOT_ALLOWED),
      request('PROPFIND', 'locks', undefined, NOT_ALLOWED),
    ],
  },
  {
    name: 'a body that cannot be read',
    steps: [
      post('locks', '{', BAD),
      post('locks', '[]', BAD),
      post('locks', '"text"', BAD),
      post('locks', '', BAD),
      post('leases', '{', BAD),
      post('leases', '[]', BAD),
      post('locks', 'x', { headers: { 'content-type': 'text/plain' }, code: 415 }),
      post('leases', 'x', { headers: { 'content-type': 'text/plain' }, code: 415 }),
      get('locks', { says: { items: [] } }),
    ],
  },
  {
    name: 'a body without a kind, or of another one',
    steps: [
      post('locks', { metadata: { name: 'a' } }, BAD),
      post('locks', { ...lock('a'), kind: 'LockPool' }, { code: 422, reason: 'Invalid' }),
      post('locks', { ...lock('a'), spec: undefined, apiVersion: 'lockkeeper.dev/v9' }, BAD),
      post('leases', { metadata: { name: 'a' } }),
      post('leases', { ...lease('a'), kind: 'Event' }, BAD),
      post('locks', { ...lock('a'), metadata: undefined }, { code: 422 }),
    ],
  },
  {
    name: 'a name or a namespace that is not the one of the path',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      put('locks/a', lock('b', {}, { resourceVersion: '{{first.metadata.resourceVersion}}' }), BAD),
      post('locks', lock('b', {}, { namespace: 'another' }), BAD),
      put(
        'locks/a',
        lock('a', {}, { namespace: 'another', resourceVersion: '{{first.metadata.resourceVersion}}' }),
        BAD,
      ),
      post('leases', lease('b', {}, { namespace: 'another' }), BAD),
    ],
  },
  {
    name: 'a body that is too large',
    steps: [
      post('locks', TOO_LARGE, { code: 413, reason: 'RequestEntityTooLarge' }),
      get('locks', { says: { items: [] } }),
    ],
  },
  {
    name: 'names and metadata that are invalid',
    steps: [
      post('locks', lock('Bad'), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a b'), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a'.repeat(254)), { code: 422, reason: 'Invalid' }),
      post('leases', lease('Bad'), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { labels: { 'a b': 'x' } }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { labels: { a: 'x y' } }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { labels: { a: 'x'.repeat(64) } }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { labels: { ['a'.repeat(64)]: 'x', 'a b/c': 'x', 'a/b/c': 'x', '/a': 'x' } }), {
        code: 422,
        reason: 'Invalid',
      }),
      post('locks', lock('a', {}, { ownerReferences: [{}] }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { annotations: { 'a b': 'x' } }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { annotations: { a: 'x'.repeat(262_144) } }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { finalizers: ['a b'] }), { code: 422, reason: 'Invalid' }),
      post('locks', lock('a', {}, { ownerReferences: [{ kind: 'Pod', name: 'a' }] }), { code: 422, reason: 'Invalid' }),
    ],
  },
  {
    name: 'metadata of a wrong type',
    steps: [
      post('locks', lock('a', {}, { labels: { a: 1 } }), BAD),
      post('locks', lock('a', {}, { labels: [] }), BAD),
      post('locks', { ...lock('a'), metadata: { name: 7 } }, BAD),
      post('locks', { ...lock('a'), metadata: 'a' }, BAD),
      post('leases', lease('a', {}, { labels: { a: 1 } }), BAD),
      post('leases', { ...lease('a'), spec: { leaseDurationSeconds: '15' } }, BAD),
      post('leases', { ...lease('a'), spec: { renewTime: 'noon' } }, BAD),
      post('leases', { ...lease('a'), spec: [] }, BAD),
    ],
  },
  {
    name: 'Leases that are invalid',
    steps: [
      post('leases', lease('a', { leaseDurationSeconds: 0 }), {
        code: 422,
        causes: [['FieldValueInvalid', 'spec.leaseDurationSeconds']],
      }),
      post('leases', lease('a', { leaseTransitions: -1 }), {
        code: 422,
        causes: [['FieldValueInvalid', 'spec.leaseTransitions']],
      }),
      post('leases', lease('a', { leaseDurationSeconds: -1, leaseTransitions: -1 }), { code: 422 }),
      post(
        'leases',
        lease('a', { renewTime: '2026-01-31T12:00:00.123456Z', acquireTime: '2026-01-31T12:00:00.000000Z' }),
        {
          says: { spec: { renewTime: '2026-01-31T12:00:00.123456Z', acquireTime: '2026-01-31T12:00:00.000000Z' } },
        },
      ),
      post('leases', lease('b', { renewTime: '2026-01-31T12:00:00Z' }), BAD),
      post('leases', lease('c', { leaseDurationSeconds: 2_147_483_648 }), BAD),
    ],
  },
  {
    name: 'YAML is read as well',
    steps: [
      post(
        'locks',
        'apiVersion: lockkeeper.dev/v1alpha1\nkind: DistributedLock\nmetadata: {name: a}\nspec: {permits: 2}\n',
        {
          headers: { 'content-type': 'application/yaml' },
        },
      ),
      post('leases', 'apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\n', {
        headers: { 'content-type': 'application/yaml' },
      }),
      post('locks', 'a: [', { headers: { 'content-type': 'application/yaml' }, ...BAD }),
    ],
  },
  {
    name: 'unknown fields are told, refused or passed over',
    steps: [
      post('locks', lock('a', { permitz: 1, later: { x: 1 } }), { says: { spec: { permits: 1 } } }),
      post('locks?fieldValidation=Warn', lock('b', { permitz: 1 })),
      post('locks?fieldValidation=Ignore', lock('c', { permitz: 1 })),
      post('locks?fieldValidation=Strict', lock('d', { permitz: 1, a: 2 }), BAD),
      post('locks?fieldValidation=Strict', { ...lock('d'), more: 1 }, BAD),
      post('locks?fieldValidation=Strict', lock('d', {}, { more: 1 }), BAD),
      post('locks?fieldValidation=Loud', lock('d'), { code: 422 }),
      post('leases', lease('a', { holder: 'me' })),
      post('leases?fieldValidation=Strict', lease('b', { holder: 'me' }), BAD),
      request(
        'PATCH',
        'locks/a?fieldValidation=Strict',
        { spec: { permitz: 1 } },
        {
          headers: { 'content-type': 'application/merge-patch+json' },
          code: 422,
        },
      ),
      get('locks/d', { code: 404 }),
    ],
  },
  {
    name: 'a field that is named twice',
    steps: [
      post(
        'locks',
        '{"apiVersion":"lockkeeper.dev/v1alpha1","kind":"DistributedLock","metadata":{"name":"a"},"spec":{"permits":1,"permits":2}}',
        {
          says: { spec: { permits: 2 } },
        },
      ),
      post(
        'locks?fieldValidation=Strict',
        '{"apiVersion":"lockkeeper.dev/v1alpha1","kind":"DistributedLock","metadata":{"name":"b"},"spec":{"permits":1,"permits":2}}',
        BAD,
      ),
    ],
  },
];
