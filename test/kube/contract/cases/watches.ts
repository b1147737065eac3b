import { type ContractCase, events, get, lease, lock, patch, post, remove, watch } from '../contract-case.ts';

const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
const from = (step: string) => `resourceVersion={{${step}.metadata.resourceVersion}}`;
const initial = 'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan';

/** What a watch tells, in which order, from where on, and how it ends. */
export const watchCases: readonly ContractCase[] = [
  {
    name: 'a watch tells what happens after the version it names, in order',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      watch('w', `locks?watch=true&${from('first')}`),
      patch('merge', 'locks/a', { spec: { permits: 2 } }, { as: 'second' }),
      post('locks', lock('b')),
      patch('merge', 'locks/a/status', { status: { waiters: 1 } }),
      remove('locks/b'),
      events('w', 'MODIFIED a', 'ADDED b', 'MODIFIED a', 'DELETED b'),
      watch('later', `locks?watch=1&${from('second')}`),
      events('later', 'ADDED b', 'MODIFIED a', 'DELETED b'),
    ],
  },
  {
    name: 'a watch without a version begins with what is there',
    steps: [
      post('locks', lock('a')),
      post('locks', lock('b')),
      watch('w', 'locks?watch=true'),
      events('w', 'ADDED a', 'ADDED b'),
      patch('merge', 'locks/b', { spec: { permits: 2 } }),
      remove('locks/a'),
      events('w', 'MODIFIED b', 'DELETED a'),
      watch('zero', 'locks?watch=true&resourceVersion=0'),
      events('zero', 'ADDED b'),
    ],
  },
  {
    name: 'a write that changes nothing is not told',
    steps: [
      post('locks', lock('a', { permits: 2 }), { as: 'first' }),
      watch('w', `locks?watch=true&${from('first')}`),
      patch('merge', 'locks/a', { spec: { permits: 2 } }),
      patch('merge', 'locks/a', { spec: { permits: 3 } }),
      events('w', 'MODIFIED a'),
    ],
  },
  {
    name: 'an object that comes to match is added, one that ceases to is deleted',
    steps: [
      post('locks', lock('a', {}, { labels: { team: 'x' } }), { as: 'first' }),
      watch('w', `locks?watch=true&labelSelector=team%3Dx&${from('first')}`),
      post('locks', lock('b')),
      patch('merge', 'locks/b', { metadata: { labels: { team: 'x' } } }),
      patch('merge', 'locks/a', { metadata: { labels: { team: 'y' } } }),
      remove('locks/a'),
      remove('locks/b'),
      events('w', 'ADDED b', 'DELETED a', 'DELETED b'),
    ],
  },
  {
    name: 'a watch of a selectable field',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      watch('w', `locks?watch=true&fieldSelector=status.holder%3Dme&${from('first')}`),
      patch('merge', 'locks/a/status', { status: { holder: 'me' } }),
      patch('merge', 'locks/a/status', { status: { holder: null } }),
      events('w', 'ADDED a', 'DELETED a'),
    ],
  },
  {
    name: 'a watch of one name',
    steps: [
      post('leases', lease('a'), { as: 'first' }),
      post('leases', lease('b')),
      watch('w', `leases?watch=true&fieldSelector=metadata.name%3Da&${from('first')}`),
      patch('merge', 'leases/b', { spec: { holderIdentity: 'me' } }),
      patch('merge', 'leases/a', { spec: { holderIdentity: 'me' } }),
      events('w', 'MODIFIED a'),
      get(`leases/a?watch=true&${from('first')}`),
    ],
  },
  {
    name: 'initial events end with a bookmark',
    steps: [
      post('locks', lock('a')),
      post('locks', lock('b')),
      watch('w', `locks?watch=true&${initial}`),
      events('w', 'ADDED a', 'ADDED b', 'BOOKMARK'),
      remove('locks/a'),
      events('w', 'DELETED a'),
      watch('none', `leases?watch=true&${initial}`),
      events('none', 'BOOKMARK'),
      watch('legacy', 'locks?watch=true&allowWatchBookmarks=true'),
      events('legacy', 'ADDED b', 'BOOKMARK'),
    ],
  },
  {
    name: 'initial events and their version must fit',
    steps: [
      get('locks?watch=true&sendInitialEvents=true&allowWatchBookmarks=true', { code: 422, reason: 'Invalid' }),
      get('locks?watch=true&resourceVersionMatch=NotOlderThan', { code: 422, reason: 'Invalid' }),
      get('locks?sendInitialEvents=true&resourceVersionMatch=NotOlderThan', { code: 422, reason: 'Invalid' }),
    ],
  },
  {
    name: 'a watch ends when its time is over',
    steps: [
      post('locks', lock('a'), { as: 'first' }),
      watch('w', `locks?watch=true&timeoutSeconds=1&${from('first')}`),
      events('w', 'end'),
    ],
  },
  {
    name: 'a version that has left the history is expired',
    steps: [watch('w', 'locks?watch=true&resourceVersion=1'), events('w', 'ERROR 410', 'end')],
  },
  {
    name: 'a watch from a version that is no number is refused',
    steps: [
      get('locks?watch=true&resourceVersion=new', { code: 500 }),
      get('leases?watch=true&resourceVersion=new', { code: 500 }),
    ],
  },
  {
    name: 'a watch as Tables names the columns once',
    steps: [
      post('locks', lock('a')),
      watch('w', 'locks?watch=true', TABLE),
      patch('merge', 'locks/a/status', { status: { holder: 'me' } }),
      remove('locks/a'),
      events('w', 'ADDED a', 'MODIFIED a', 'DELETED a'),
    ],
  },
  {
    name: 'a deletion that a finalizer holds up is a change first',
    steps: [
      post('locks', lock('a', {}, { finalizers: ['example.com/keep'] }), { as: 'first' }),
      watch('w', `locks?watch=true&${from('first')}`),
      remove('locks/a'),
      patch('merge', 'locks/a', { metadata: { finalizers: null } }),
      events('w', 'MODIFIED a', 'DELETED a'),
    ],
  },
  {
    name: 'a list and the watch that follows it miss nothing',
    steps: [
      post('locks', lock('a')),
      get('locks', { as: 'list' }),
      post('locks', lock('b')),
      watch('w', `locks?watch=true&${from('list')}`),
      events('w', 'ADDED b'),
    ],
  },
];
