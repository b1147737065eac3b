import { type ContractCase, kubectl, kubectlFails, lock, pool, post, said, start } from '../contract-case.ts';

const manifest = (name: string, spec: object = {}) => JSON.stringify(lock(name, spec));
const held = {
  type: 'Held',
  status: 'True',
  reason: 'Granted',
  message: '',
  lastTransitionTime: '2026-01-31T12:00:00Z',
};
const status = (value: object) =>
  `patch lock a --subresource status --type merge -p ${JSON.stringify({ status: value })}`;
const event = {
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'a.1' },
  involvedObject: {
    apiVersion: 'lockkeeper.dev/v1alpha1',
    kind: 'DistributedLock',
    namespace: '$NAMESPACE',
    name: 'a',
    uid: '{{lock.metadata.uid}}',
  },
  type: 'Warning',
  reason: 'ForceReleased',
  message: 'its pod hangs',
  count: 2,
  firstTimestamp: '2026-01-31T12:00:00Z',
  lastTimestamp: '2026-01-31T13:00:00Z',
  source: { component: 'lockkeeper' },
};

/** What a person types, with the stock `kubectl`. */
export const kubectlCases: readonly ContractCase[] = [
  {
    name: 'kubectl finds the kinds by every name',
    steps: [
      kubectl('api-resources --api-group=lockkeeper.dev --no-headers', /^distributedlocks +lock,locks +lockkeeper/m),
      kubectl('apply -f -', /created/, manifest('a')),
      kubectl('apply -f -', /created/, JSON.stringify(pool('p'))),
      ...['lock', 'DistributedLock', 'distributedlocks.lockkeeper.dev'].map((kind) =>
        kubectl(`get ${kind} -o name`, /^distributedlock.lockkeeper.dev\/a\n$/),
      ),
      kubectl('get lockkeeper -o name', /\/a\n.*\/p\n/),
      kubectl('get lpool -o name', /^lockpool.lockkeeper.dev\/p\n$/),
    ],
  },
  {
    name: 'kubectl apply creates, finds nothing to change, changes, and removes what the manifest no longer says',
    steps: [
      kubectl('apply -f -', /created/, manifest('a', { permits: 2, maxHoldSeconds: 60 })),
      kubectl('apply -f -', /unchanged/, manifest('a', { permits: 2, maxHoldSeconds: 60 })),
      kubectl('apply -f -', /configured/, manifest('a', { permits: 3 })),
      kubectl('get lock a -o jsonpath={.spec}{.metadata.generation}', /"permits":3.*2$/),
      kubectl('apply --dry-run=server -f -', /dry run/, manifest('a', { permits: 4 })),
      kubectl('get lock a -o jsonpath={.spec.permits}', /^3$/),
    ],
  },
  {
    name: 'kubectl apply --server-side',
    steps: [
      kubectl('apply --server-side -f -', /serverside-applied/, manifest('a', { permits: 2 })),
      kubectl('apply --server-side -f -', /serverside-applied/, manifest('a', { permits: 3 })),
      kubectl('get lock a -o jsonpath={.spec.permits}', /^3$/),
    ],
  },
  {
    name: 'kubectl apply of what is wrong',
    steps: [
      kubectlFails('apply -f -', /unknown field "spec\.a", unknown field "spec\.b"/, manifest('bad', { a: 1, b: 2 })),
      kubectlFails('apply -f -', /no matches for kind "Lock"/, manifest('bad').replace('DistributedLock', 'Lock')),
      kubectlFails('apply -f -', /must be of type object: "array"/, manifest('bad').replace('{}', '[]')),
      kubectl('get locks -o name', /^$/),
    ],
  },
  {
    name: 'kubectl get in every form',
    steps: [
      kubectl('apply -f -', /created/, manifest('a')),
      kubectl('apply -f -', /created/, manifest('b', { fairness: 'Priority' })),
      kubectl('label lock a team=x', /labeled/),
      kubectl(status({ holder: 'me', fencingToken: '7', waiters: 2, mode: 'exclusive', shard: 3 }), /patched/),
      kubectl('get locks', /^NAME +HOLDER +TOKEN +WAITERS +HELD-SINCE +AGE\na +me +7 +2 /),
      kubectl('get locks -o wide', /MODE +LEASE +SHARD +READY/),
      kubectl('get lock a -o yaml', /leaseDurationSeconds: 15/),
      kubectl('get locks -o json', /"kind": "List"/),
      kubectl('get locks -o name -l team=x', /^\S+\/a\n$/),
      kubectl('get locks --no-headers -l !team', /^b /),
      kubectl('get locks -o name --field-selector spec.fairness=Priority', /^\S+\/b\n$/),
      kubectl('get locks --no-headers --chunk-size=1', /^a .*\nb .*\n$/),
      kubectl('get locks -o custom-columns=N:.metadata.name,P:.spec.permits', /^a +1$/m),
      kubectlFails('get lock c', /distributedlocks.lockkeeper.dev "c" not found/),
      kubectlFails('get nothings', /doesn't have a resource type "nothings"/),
      kubectlFails('get locks --field-selector spec.permits=1', /field label not supported: spec.permits/),
    ],
  },
  {
    name: 'kubectl get -w tells changes while they happen',
    steps: [
      kubectl('apply -f -', /created/, manifest('a')),
      start('watch', 'get locks -w'),
      said('watch', /^a .*\n/m),
      kubectl(status({ holder: 'pod-1', fencingToken: '7' }), /patched/),
      said('watch', /^a +pod-1 +7 .*\n/m),
      kubectl('apply -f -', /created/, manifest('b')),
      said('watch', /^b .*\n/m),
      kubectl('delete lock a', /deleted/),
      said('watch', /(^a .*\n[^]*){3}/m),
    ],
  },
  {
    name: 'kubectl describe shows fields and Events',
    steps: [
      post('locks', lock('a'), { as: 'lock' }),
      post('events', event),
      kubectl('describe lock a', /Lease Duration Seconds: +15[^]*ForceReleased/),
      kubectl('get events', /ForceReleased/),
      kubectl('get events -o wide', /lockkeeper/),
      kubectl('events', /its pod hangs/),
      kubectl('events --for lock/a', /its pod hangs/),
    ],
  },
  {
    name: 'kubectl annotate, label, patch and edit',
    steps: [
      kubectl('apply -f -', /created/, manifest('a')),
      kubectl('annotate lock a lockkeeper.dev/force-release=stuck', /annotated/),
      kubectl('label lock a team=x', /labeled/),
      kubectlFails('label lock a team=y', /already has a value/),
      kubectl('label lock a team-', /unlabeled/),
      kubectl('patch lock a --type merge -p {"spec":{"permits":2}}', /patched/),
      kubectl('patch lock a --type merge -p {"spec":{"permits":2}}', /no change/),
      kubectl('patch lock a --type json -p [{"op":"replace","path":"/spec/permits","value":3}]', /patched/),
      kubectl('edit lock a', /edited/),
      kubectl('get lock a -o jsonpath={.spec.permits}{.metadata.labels}', /^4$/),
      kubectlFails('patch lock a -p {"spec":{"permits":5}}', /strategic-merge-patch|strategic merge patch/),
      kubectlFails('patch lock a --type merge -p {"spec":{"permits":0}}', /greater than or equal to 1/),
    ],
  },
  {
    name: 'kubectl wait sees a condition become true, and an object go',
    steps: [
      kubectl('apply -f -', /created/, manifest('a')),
      start('waiting', 'wait --for=condition=Held lock/a --timeout=50s'),
      kubectl(status({ conditions: [held] }), /patched/),
      said('waiting', /condition met/, true),
      kubectl('wait --for=jsonpath={.spec.permits}=1 lock/a', /condition met/),
      kubectl('delete lock a', /deleted/),
      kubectl('wait --for=delete lock/a', /^$/),
    ],
  },
  {
    name: 'kubectl delete waits until the object is gone, finalizers included',
    steps: [
      kubectl('apply -f -', /created/, manifest('a')),
      kubectl('delete lock a', /"a" deleted/),
      kubectlFails('delete lock a', /NotFound/),
      kubectl('apply -f -', /created/, manifest('a')),
      kubectl('patch lock a --type merge -p {"metadata":{"finalizers":["lockkeeper.dev/tombstone"]}}', /patched/),
      start('deleting', 'delete lock a'),
      said('deleting', /deleted/),
      kubectl('get lock a -o jsonpath={.metadata.finalizers}', /tombstone/),
      kubectl('patch lock a --type merge -p {"metadata":{"finalizers":null}}', /patched/),
      said('deleting', /deleted/, true),
      kubectl('get locks -o name', /^$/),
    ],
  },
  {
    name: 'kubectl and Leases',
    steps: [
      post('leases', {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'a', annotations: { counter: '7' } },
        spec: { holderIdentity: 'me', leaseDurationSeconds: 15 },
      }),
      kubectl('get leases', /^NAME +HOLDER +AGE\na +me /),
      kubectl('patch lease a -p {"spec":{"holderIdentity":"you"}}', /patched/),
      kubectl('annotate lease a note=x', /annotated/),
      kubectl('get lease a -o yaml', /holderIdentity: you/),
      kubectl('describe lease a', /Holder Identity: +you/),
      kubectlFails('patch lease a -p {"spec":{"leaseDurationSeconds":0}}', /must be greater than 0/),
      kubectl('delete lease a', /deleted/),
    ],
  },
  {
    name: 'kubectl create, replace and diff',
    steps: [
      kubectl('create --dry-run=server -f - -o name', /\/a\n/, manifest('a')),
      kubectl('get locks -o name', /^$/),
      kubectl('create -f -', /created/, manifest('a')),
      kubectlFails('create -f -', /AlreadyExists/, manifest('a')),
      kubectl('replace -f -', /replaced/, manifest('a', { permits: 2 })),
      kubectlFails('replace -f -', /Conflict/, JSON.stringify(lock('a', {}, { resourceVersion: '1' }))),
      kubectlFails('replace -f -', /NotFound/, manifest('b')),
      kubectlFails('diff -f -', /^$/, manifest('a', { permits: 9 })),
      kubectl('get lock a -o jsonpath={.spec.permits}', /^2$/),
    ],
  },
  {
    name: 'kubectl and Namespaces',
    steps: [
      kubectl('create namespace $NAMESPACE-more', /created/),
      kubectlFails('create namespace $NAMESPACE-more', /AlreadyExists/),
      kubectl('get ns $NAMESPACE-more --no-headers', /Active/),
      kubectl('get ns $NAMESPACE-more -o jsonpath={.metadata.labels}', /kubernetes.io\/metadata.name/),
    ],
  },
  {
    name: 'kubectl explain',
    steps: [
      ...['distributedlock', 'lockpool'].flatMap((kind) => [
        kubectl(`explain ${kind}.spec --recursive`, /fairness\t<string>/),
        kubectl(`explain ${kind}.status --recursive`, /conditions\t<\[\]Object>/),
      ]),
      kubectl('explain lock.spec.permits', /FIELD: permits <integer>/),
      kubectl('explain lpool.spec.keyPattern', /Regular expression \(RE2\)/),
      kubectlFails('explain lock.spec.permitz', /field "permitz" does not exist/),
    ],
  },
  {
    name: 'kubectl explain of what every object has',
    steps: [kubectl('explain lock', /FIELDS:/), kubectl('explain lease.spec', /holderIdentity/)],
  },
];
