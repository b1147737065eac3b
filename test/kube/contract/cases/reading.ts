import { type ContractCase, get, lease, lock, patch, pool, post, remove, request } from '../contract-case.ts';

const TABLE = { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } };
const PARTIAL = {
  headers: { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json' },
};
const PARTIAL_LIST = {
  headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json' },
};
const three = [
  post('locks', lock('a', {}, { labels: { team: 'x', tier: '1' } })),
  post('locks', lock('b', { fairness: 'Priority' }, { labels: { team: 'y' } })),
  post('locks', lock('c', { expiryPolicy: 'Alert' })),
];
const named = (...names: readonly string[]) => ({ says: { items: names.map((name) => ({ metadata: { name } })) } });
const labels = (selector: string, ...names: readonly string[]) =>
  get(`locks?labelSelector=${encodeURIComponent(selector)}`, named(...names));
const fields = (selector: string, ...names: readonly string[]) =>
  get(`locks?fieldSelector=${encodeURIComponent(selector)}`, named(...names));

/** Lists, selectors, pages, Tables. */
export const readingCases: readonly ContractCase[] = [
  {
    name: 'lists are in the order of names, and say what they are',
    steps: [
      post('locks', lock('b')),
      post('locks', lock('a')),
      get('locks', named('a', 'b')),
      get('leases', named()),
      post('leases', lease('a')),
      get('leases', named('a')),
      get('pools', named()),
      post('pools', pool('a')),
      get('pools', named('a')),
      request('HEAD', 'locks/a', undefined),
    ],
  },
  {
    name: 'label selectors',
    steps: [
      ...three,
      labels('team=x', 'a'),
      labels('team==y', 'b'),
      labels('team!=x', 'b', 'c'),
      labels('team', 'a', 'b'),
      labels('!team', 'c'),
      labels('team in (x, y)', 'a', 'b'),
      labels('team notin (x)', 'b', 'c'),
      labels('team,tier=1', 'a'),
      labels('', 'a', 'b', 'c'),
      labels('team=', ...[]),
      get(`locks?labelSelector=${encodeURIComponent('team in x')}`, { code: 400 }),
      get(`locks?labelSelector=${encodeURIComponent('=x')}`, { code: 400 }),
      get(`locks?labelSelector=${encodeURIComponent('team=a b')}`, { code: 400 }),
    ],
  },
  {
    name: 'label selectors over numbers',
    steps: [...three, labels('tier>0', 'a'), labels('tier<1')],
  },
  {
    name: 'field selectors of our kinds',
    steps: [
      ...three,
      patch('merge', 'locks/a/status', { status: { holder: 'me', mode: 'exclusive', shard: 7 } }),
      fields('metadata.name=a', 'a'),
      fields('metadata.name!=a', 'b', 'c'),
      get('locks?fieldSelector=metadata.namespace%3D$NAMESPACE', named('a', 'b', 'c')),
      fields('spec.fairness=Priority', 'b'),
      fields('spec.expiryPolicy=Alert', 'c'),
      fields('status.holder=me', 'a'),
      fields('status.holder!=me', 'b', 'c'),
      fields('status.holder=', 'b', 'c'),
      fields('status.mode=exclusive,spec.fairness=Fifo', 'a'),
      fields('status.shard=7', 'a'),
      fields('metadata.name==b', 'b'),
      get('locks?fieldSelector=spec.permits%3D1', { code: 400, reason: 'BadRequest' }),
      get('locks?fieldSelector=metadata.name', { code: 400, reason: 'BadRequest' }),
      get('pools?fieldSelector=spec.fairness%3DFifo', named()),
      get('pools?fieldSelector=spec.expiryPolicy%3DExpire', named()),
    ],
  },
  {
    name: 'field selectors of Leases',
    steps: [
      post('leases', lease('a')),
      post('leases', lease('b')),
      get('leases?fieldSelector=metadata.name%3Da', named('a')),
      get('leases?fieldSelector=spec.holderIdentity%3Dme', { code: 400 }),
    ],
  },
  {
    name: 'pages show one state to the end',
    steps: [
      ...three,
      get('locks?limit=2', { as: 'page', ...named('a', 'b') }),
      post('locks', lock('d')),
      remove('locks/c'),
      get('locks?limit=2&continue={{page.metadata.continue}}', named('c')),
      get('locks', named('a', 'b', 'd')),
      get('locks?limit=3', named('a', 'b', 'd')),
      get('locks?limit=0', named('a', 'b', 'd')),
      get('locks?limit=1&labelSelector=team', named('a')),
      get('locks?continue=nonsense', { code: 400, reason: 'BadRequest' }),
      get('locks?limit=many', { code: 400, reason: 'BadRequest' }),
      get('locks?limit=2&continue={{page.metadata.continue}}&resourceVersion=1', { code: 400 }),
    ],
  },
  {
    name: 'lists of a version',
    steps: [
      ...three,
      get('locks', { as: 'list' }),
      remove('locks/a'),
      get('locks?resourceVersion={{list.metadata.resourceVersion}}&resourceVersionMatch=Exact', named('a', 'b', 'c')),
      get('locks?resourceVersion={{list.metadata.resourceVersion}}&resourceVersionMatch=NotOlderThan'),
      get('locks?resourceVersion=0', { code: 200 }),
      get('locks?resourceVersionMatch=Exact', { code: 422 }),
      get('locks?resourceVersion=1&resourceVersionMatch=Roughly', { code: 422 }),
      get('locks?resourceVersion=0&resourceVersionMatch=Exact', { code: 422 }),
      get('locks?resourceVersion=new', { code: 400 }),
    ],
  },
  {
    name: 'a list of a version that is yet to come',
    steps: [
      get('locks?resourceVersion=999999999999&resourceVersionMatch=NotOlderThan', { code: 504, reason: 'Timeout' }),
    ],
  },
  {
    name: 'a Table has our columns, and rows with metadata',
    steps: [
      ...three.slice(0, 2),
      patch('merge', 'locks/a/status', {
        status: {
          holder: 'me',
          fencingToken: '7',
          waiters: 2,
          mode: 'exclusive',
          shard: 3,
          heldSince: '2020-01-01T00:00:00Z',
          conditions: [
            {
              type: 'Ready',
              status: 'True',
              reason: 'Serving',
              message: '',
              lastTransitionTime: '2020-01-01T00:00:00Z',
            },
          ],
        },
      }),
      get('locks', TABLE),
      get('locks/a', TABLE),
      get('locks?includeObject=None', TABLE),
      get('locks?includeObject=Object', TABLE),
      get('locks?includeObject=Everything', { ...TABLE, code: 400 }),
      get('locks?limit=1', TABLE),
      get('locks?fieldSelector=metadata.name%3Dnone', TABLE),
      get('locks/none', { ...TABLE, code: 404 }),
      post('pools', pool('a')),
      patch('merge', 'pools/a/status', { status: { holds: 3, waiters: 0, grants: 9 } }),
      get('pools', TABLE),
    ],
  },
  {
    name: 'a Table of Leases and of Events',
    steps: [
      post('leases', lease('a', { holderIdentity: 'me' })),
      post('leases', lease('b')),
      get('leases', TABLE),
      post('events', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'a.1' },
        involvedObject: {
          kind: 'DistributedLock',
          namespace: '$NAMESPACE',
          name: 'a',
          apiVersion: 'lockkeeper.dev/v1alpha1',
        },
        type: 'Warning',
        reason: 'Expired',
        message: 'ran out\n',
        count: 3,
        firstTimestamp: '2020-01-01T00:00:00Z',
        lastTimestamp: '2020-01-02T00:00:00Z',
        source: { component: 'lockkeeper' },
      }),
      get('events', TABLE),
      get('events/a.1'),
      get('events?fieldSelector=involvedObject.name%3Da,involvedObject.kind%3DDistributedLock', named('a.1')),
      get('events?fieldSelector=type%3DNormal', named()),
      get('events?fieldSelector=message%3Dx', { code: 400 }),
    ],
  },
  {
    name: 'the descriptions of columns',
    withDescriptions: true,
    steps: [get('locks', TABLE), get('pools', TABLE), get('leases', TABLE), get('events', TABLE)],
  },
  {
    name: 'the metadata alone',
    steps: [post('locks', lock('a')), get('locks/a', PARTIAL), get('locks', PARTIAL_LIST)],
  },
  {
    name: 'a form that nobody can give is refused',
    steps: [
      post('locks', lock('a')),
      get('locks/a', { headers: { accept: 'application/xml' }, code: 406, reason: 'NotAcceptable' }),
      get('locks/a', { headers: { accept: 'application/json;as=Chart;v=v1;g=meta.k8s.io' }, code: 406 }),
      get('locks/a', { headers: { accept: 'text/html, application/json;q=0.5, */*;q=0.1' } }),
      get('locks/a', { headers: { accept: '*/*' } }),
    ],
  },
];
