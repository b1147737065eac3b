import { type ContractCase, get, lease, lock, patch, post, put, remove } from '../contract-case.ts';

const held = { finalizers: ['example.com/keep'] };

/** What goes, when, and what is said about it. */
export const deletionCases: readonly ContractCase[] = [
  {
    name: 'a deletion says what it deleted, and the name is free again',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      remove('locks/a', undefined, {
        says: { status: 'Success', details: { name: 'a', uid: '{{first.metadata.uid}}' } },
      }),
      get('locks/a', { code: 404, reason: 'NotFound' }),
      remove('locks/a', undefined, { code: 404, reason: 'NotFound' }),
      post('locks', lock('a')),
      post('leases', lease('a')),
      remove('leases/a', undefined, { says: { status: 'Success' } }),
      remove('leases/a', undefined, { code: 404 }),
    ],
  },
  {
    name: 'preconditions of a deletion',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      remove(
        'locks/a',
        { preconditions: { uid: '00000000-0000-4000-8000-000000000000' } },
        { code: 409, reason: 'Conflict' },
      ),
      patch('merge', 'locks/a', { spec: { permits: 2 } }, { as: 'second' }),
      remove(
        'locks/a',
        { preconditions: { resourceVersion: '{{first.metadata.resourceVersion}}' } },
        { code: 409, reason: 'Conflict' },
      ),
      remove('locks/a', {
        preconditions: { uid: '{{first.metadata.uid}}', resourceVersion: '{{second.metadata.resourceVersion}}' },
      }),
      get('locks/a', { code: 404 }),
    ],
  },
  {
    name: 'a finalizer keeps an object until it is taken off',
    steps: [
      post('locks', lock('a', {}, held)),
      remove('locks/a', undefined, { says: { metadata: { finalizers: held.finalizers, generation: 2 } } }),
      remove('locks/a'),
      patch('merge', 'locks/a', { spec: { permits: 2 } }, { says: { spec: { permits: 2 } } }),
      patch('merge', 'locks/a', { metadata: { finalizers: ['example.com/keep', 'example.com/more'] } }, { code: 422 }),
      post('locks', lock('a'), { code: 409, reason: 'AlreadyExists' }),
      patch('merge', 'locks/a', { metadata: { finalizers: null } }),
      get('locks/a', { code: 404 }),
    ],
  },
  {
    name: 'a finalizer of a Lease, taken off by a PUT',
    steps: [
      post('leases', lease('a', { holderIdentity: 'me' }, held)),
      remove('leases/a', undefined, { as: 'marked' }),
      put('leases/a', lease('a', { holderIdentity: 'me' }, { resourceVersion: '{{marked.metadata.resourceVersion}}' })),
      get('leases/a', { code: 404 }),
    ],
  },
  {
    name: 'the propagation of a deletion',
    steps: [
      post('locks', lock('a')),
      remove('locks/a?propagationPolicy=Background', undefined, { says: { status: 'Success' } }),
      post('locks', lock('b')),
      remove('locks/b', { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' }),
      get('locks/b'),
      post('locks', lock('c')),
      remove('locks/c', { propagationPolicy: 'Orphan' }),
      get('locks/c'),
      post('locks', lock('d')),
      remove('locks/d', { propagationPolicy: 'Sideways' }, { code: 422 }),
      post('leases', lease('a')),
      remove('leases/a', { propagationPolicy: 'Background' }),
      get('leases/a', { code: 404 }),
    ],
  },
  {
    name: 'a deletion as a dry run',
    steps: [
      post('locks', lock('a')),
      remove('locks/a?dryRun=All'),
      remove('locks/a', { dryRun: ['All'] }),
      get('locks/a'),
    ],
  },
  {
    name: 'a grace period of nothing, and one that is wrong',
    steps: [
      post('locks', lock('a')),
      remove('locks/a', { gracePeriodSeconds: 0 }),
      post('locks', lock('a')),
      remove('locks/a', { gracePeriodSeconds: 'soon' }, { code: 400 }),
      remove('locks/a', '{', { code: 400, headers: { 'content-type': 'application/json' } }),
    ],
  },
  {
    name: 'a collection is deleted, as far as a selector goes',
    steps: [
      post('locks', lock('a', {}, { labels: { team: 'x' } })),
      post('locks', lock('b', {}, { labels: { team: 'x' }, ...held })),
      post('locks', lock('c')),
      remove('locks?labelSelector=team%3Dx'),
      get('locks'),
      remove('locks'),
      patch('merge', 'locks/b', { metadata: { finalizers: null } }),
      get('locks', { says: { items: [] } }),
    ],
  },
];
