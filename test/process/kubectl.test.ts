/**
 * Goal: a stock `kubectl`, with its validation on, does what a newcomer tries with the embedded API, and says why when it cannot.
 * Method: the real `kubectl` as a process against the API in this process; each test has a namespace of its own. Waiting is
 * for what a process says, never for time.
 */
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DISTRIBUTED_LOCKS, EVENTS } from '../../src/kube/kube-object.ts';
import { EmbeddedKube, hasKubectl } from '../support/embedded-kube.ts';

const present = hasKubectl();
if (!present) console.log('kubectl is not installed: its tests are skipped (with CI=true they fail)');

/** On a machine that must not skip, a missing kubectl fails each test. */
const withKubectl = present || process.env['CI'] === 'true' ? describe : describe.skip;

const lock = (name: string, spec: object = {}) =>
  JSON.stringify({ apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata: { name }, spec });

withKubectl('kubectl', () => {
  let kube: EmbeddedKube;
  beforeAll(async () => {
    kube = await EmbeddedKube.open();
  });
  afterAll(() => kube[Symbol.asyncDispose]());

  const run = (line: string, input?: string, variables?: Readonly<Record<string, string>>) =>
    kube.kubectl(line.split(' '), input, variables);
  /** Runs it, and it must succeed. */
  const ok = async (line: string, input?: string, variables?: Readonly<Record<string, string>>) => {
    const told = await run(line, input, variables);
    expect({ line, exitCode: told.exitCode, error: told.error }).toEqual({ line, exitCode: 0, error: '' });
    return told.out;
  };
  const refused = async (line: string, input?: string) => {
    const told = await run(line, input);
    expect(told.exitCode).not.toBe(0);
    return told.error;
  };

  test('finds the kinds, their short names and categories, and the version', async () => {
    const kinds = await ok('api-resources --no-headers');
    for (const line of [/^distributedlocks +lock,locks +lockkeeper/m, /^leases +coordination/m, /^namespaces +ns +v1/m])
      expect(kinds).toMatch(line);
    expect(await ok('version')).toContain('Server Version: v1.32');
    await ok('apply -n found -f -', lock('one'));
    expect(await ok('get lockkeeper -n found -o name')).toBe('distributedlock.lockkeeper.dev/one\n');
  });

  test('apply creates, finds nothing to change, changes, and removes what the manifest no longer says', async () => {
    const name = 'distributedlock.lockkeeper.dev/a';
    expect(await ok('apply -n apply -f -', lock('a', { permits: 2, maxHoldSeconds: 60 }))).toBe(`${name} created\n`);
    expect(await ok('apply -n apply -f -', lock('a', { permits: 2, maxHoldSeconds: 60 }))).toBe(`${name} unchanged\n`);
    expect(await ok('apply -n apply -f -', lock('a', { permits: 3 }))).toBe(`${name} configured\n`);
    const spec = JSON.parse(await ok('get lock a -n apply -o jsonpath={.spec}')) as Record<string, unknown>;
    expect(spec).toMatchObject({ permits: 3, leaseDurationSeconds: 15, fairness: 'Fifo' });
    expect(spec).not.toHaveProperty('maxHoldSeconds');
    expect(await ok('get lock a -n apply -o jsonpath={.metadata.generation}')).toBe('2');
  });

  test('apply --server-side merges', async () => {
    expect(await ok('apply --server-side -n side -f -', lock('a', { permits: 2 }))).toContain('serverside-applied');
    await ok('apply --server-side -n side -f -', lock('a', { maxWaiters: 5 }));
    expect(await ok('get lock a -n side -o jsonpath={.spec.permits}/{.spec.maxWaiters}')).toBe('2/5');
  });

  test.each<[string, string, RegExp]>([
    [
      'a number out of bounds',
      lock('bad', { permits: 0 }),
      /spec\.permits: Invalid value: 0: .*greater than or equal to 1/,
    ],
    [
      'a word that is none',
      lock('bad', { fairness: 'Lifo' }),
      /spec\.fairness: Unsupported value: "Lifo": supported values: "Fifo", "Priority"/,
    ],
    [
      'a text for a number',
      lock('bad', { leaseDurationSeconds: '15s' }),
      /spec\.leaseDurationSeconds: .*must be of type integer: "string"/,
    ],
    ['a field that is unknown', lock('bad', { permitz: 1 }), /unknown field "spec\.permitz"/],
    ['two fields that are unknown', lock('bad', { a: 1, b: 2 }), /unknown field "spec\.a", unknown field "spec\.b"/],
    ['a name in capitals', lock('Bad'), /metadata\.name: Invalid value: "Bad"/],
    ['a rule of the kind', lock('bad', { maxHoldSeconds: 5, leaseDurationSeconds: 15 }), /maxHoldSeconds/],
    [
      'a version that is not served',
      lock('bad').replace('v1alpha1', 'v9'),
      /no matches for kind "DistributedLock" in version "lockkeeper.dev\/v9"/,
    ],
    ['a kind that is not served', lock('bad').replace('DistributedLock', 'Lock'), /no matches for kind "Lock"/],
    ['a list for an object', lock('bad').replace('"spec":{}', '"spec":[]'), /spec: .*must be of type object: "array"/],
  ])('apply refuses %s and says so', async (_what, manifest, message) => {
    expect(await refused('apply -n bad -f -', manifest)).toMatch(message);
    expect(await ok('get locks -n bad -o name')).toBe('');
  });

  test('get: table, wide, yaml, json, name, selectors, pages', async () => {
    await ok('apply -n get -f -', lock('a'));
    await ok('apply -n get -f -', lock('b', { fairness: 'Priority' }));
    await ok('label lock a -n get team=x');
    expect(await ok('get locks -n get')).toMatch(
      /^NAME +HOLDER +TOKEN +WAITERS +HELD-SINCE +AGE\na .*\d+s\nb .*\d+s\n$/,
    );
    expect(await ok('get locks -n get -o wide')).toMatch(/MODE +LEASE +SHARD +READY/);
    expect(await ok('get lock a -n get -o yaml')).toContain('leaseDurationSeconds: 15');
    expect(JSON.parse(await ok('get locks -n get -o json'))).toMatchObject({ kind: 'List', items: [{}, {}] });
    expect(await ok('get locks -n get -o name -l team=x')).toContain('/a\n');
    expect(await ok('get locks -n get --no-headers -l !team')).toMatch(/^b /);
    expect(await ok('get locks -n get -o name --field-selector spec.fairness=Priority')).toMatch(/^\S+\/b\n$/);
    expect(await ok('get locks -n get --no-headers --chunk-size=1')).toMatch(/^a .*\nb .*\n$/);
    expect(await refused('get lock c -n get')).toBe(
      'Error from server (NotFound): distributedlocks.lockkeeper.dev "c" not found\n',
    );
    expect(await refused('get pods')).toContain('the server doesn\'t have a resource type "pods"');
  });

  test('get -w tells changes while they happen', async () => {
    await ok('apply -n watch -f -', lock('a'));
    const watch = kube.start(['get', 'locks', '-n', 'watch', '-w']);
    await watch.said(/^a /m);
    await kube.store.patchStatus(DISTRIBUTED_LOCKS, 'watch', 'a', { status: { holder: 'pod-1', fencingToken: '7' } });
    await watch.said(/^a +pod-1 +7 /m);
    await ok('apply -n watch -f -', lock('b'));
    await watch.said(/^b /m);
    await ok('delete lock a -n watch');
    expect((await watch.said(/(^a .*\n[^]*){3}/m)).match(/^NAME/gm)).toHaveLength(1);
  });

  test('describe shows fields and Events', async () => {
    await ok('apply -n describe -f -', lock('a'));
    const { metadata } = (await kube.store.get(DISTRIBUTED_LOCKS, 'describe', 'a')) ?? {};
    await kube.store.create(EVENTS, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'a.1', namespace: 'describe' },
      involvedObject: { kind: 'DistributedLock', namespace: 'describe', name: 'a', uid: metadata?.uid },
      type: 'Warning',
      reason: 'ForceReleased',
      message: 'its pod hangs',
      lastTimestamp: metadata?.creationTimestamp,
      source: { component: 'lockkeeper' },
    });
    const text = await ok('describe lock a -n describe');
    expect(text).toMatch(/Lease Duration Seconds: +15/);
    expect(text).toMatch(/Warning +ForceReleased +\S+ +lockkeeper +its pod hangs/);
    expect(await ok('get events -n describe')).toMatch(/Warning +ForceReleased +distributedlock\/a +its pod hangs/);
    expect(await ok('events -n describe')).toContain('its pod hangs');
  });

  test('annotate, label, patch and edit change what they name', async () => {
    await ok('apply -n change -f -', lock('a'));
    await ok('annotate lock a -n change lockkeeper.dev/force-release=stuck');
    await ok('label lock a -n change team=x');
    await ok('patch lock a -n change --type merge -p {"spec":{"permits":2}}');
    await ok('patch lock a -n change --type json -p [{"op":"replace","path":"/spec/permits","value":3}]');
    const editor = join(kube.home, 'editor.sh');
    writeFileSync(editor, '#!/bin/sh\nsed -i.old "s/permits: 3/permits: 4/" "$1"\n', { mode: 0o755 });
    await ok('edit lock a -n change', '', { KUBE_EDITOR: editor });
    expect(
      await ok('get lock a -n change -o jsonpath={.spec.permits}{.metadata.annotations}{.metadata.labels}'),
    ).toMatch(/^4\{.*"lockkeeper.dev\/force-release":"stuck".*\{"team":"x"\}$/);
    expect(await refused('patch lock a -n change -p {"spec":{"permits":5}}')).toContain('strategic-merge-patch');
    expect(await refused('patch lock a -n change --type merge -p {"spec":{"permits":0}}')).toContain(
      'greater than or equal to 1',
    );
  });

  test('wait sees a condition become true', async () => {
    await ok('apply -n wait -f -', lock('a'));
    const waiting = kube.start(['wait', '-n', 'wait', '--for=condition=Held', 'lock/a', '--timeout=50s']);
    const condition = {
      type: 'Held',
      status: 'True',
      reason: 'Granted',
      message: '',
      lastTransitionTime: '2026-01-31T12:00:00Z',
    };
    await kube.store.patchStatus(DISTRIBUTED_LOCKS, 'wait', 'a', { status: { conditions: [condition] } });
    expect(await waiting.said(/condition met/)).toBe('distributedlock.lockkeeper.dev/a condition met\n');
  });

  test('delete waits until the object is gone, finalizers included', async () => {
    await ok('apply -n delete -f -', lock('a'));
    expect(await ok('delete lock a -n delete')).toBe('distributedlock.lockkeeper.dev "a" deleted\n');
    expect(await refused('delete lock a -n delete')).toContain('NotFound');
    await ok('apply -n delete -f -', lock('b'));
    await ok('patch lock b -n delete --type merge -p {"metadata":{"finalizers":["lockkeeper.dev/tombstone"]}}');
    const deleting = kube.start(['delete', 'lock', 'b', '-n', 'delete']);
    await deleting.said(/deleted/);
    await kube.store.patch(DISTRIBUTED_LOCKS, 'delete', 'b', { metadata: { finalizers: null } });
    await deleting.ended;
    expect(await ok('get locks -n delete -o name')).toBe('');
  });

  test('namespaces: create, list, and delete with all that is in them', async () => {
    expect(await ok('create namespace shop')).toBe('namespace/shop created\n');
    expect(await refused('create namespace shop')).toContain('AlreadyExists');
    await ok('apply -n shop -f -', lock('a'));
    expect(await ok('get ns')).toMatch(/^shop +Active +\d+s$/m);
    await ok('delete namespace shop');
    expect(await ok('get locks -n shop -o name')).toBe('');
  });

  test('Leases of the lock server are there, and strategic merge works on them', async () => {
    const spec = { holderIdentity: 'me', leaseDurationSeconds: 15 };
    await kube.store.leases.create({
      metadata: { namespace: 'leases', name: 'lock-a', annotations: { counter: '7' } },
      spec,
    });
    expect(await ok('get leases -n leases')).toMatch(/^NAME +HOLDER +AGE\nlock-a +me +\d+s\n$/);
    await ok('patch lease lock-a -n leases -p {"spec":{"holderIdentity":"you"}}');
    await ok('annotate lease lock-a -n leases note=x');
    expect(await kube.store.leases.get('leases', 'lock-a')).toMatchObject({
      metadata: { annotations: { counter: '7', note: 'x' } },
      spec: { holderIdentity: 'you', leaseDurationSeconds: 15 },
    });
    expect(await refused('patch lease lock-a -n leases -p {"spec":{"leaseDurationSeconds":0}}')).toContain(
      'must be greater than 0',
    );
  });

  test('create and replace name their conflicts, and a dry run stores nothing', async () => {
    expect(await ok('create -n create --dry-run=server -f - -o name', lock('a'))).toContain('/a\n');
    expect(await ok('get locks -n create -o name')).toBe('');
    await ok('create -n create -f -', lock('a'));
    expect(await refused('create -n create -f -', lock('a'))).toContain('AlreadyExists');
    const stale = JSON.stringify({
      ...JSON.parse(await ok('get lock a -n create -o json')),
      metadata: { name: 'a', namespace: 'create', resourceVersion: '1' },
    });
    expect(await refused('replace -n create -f -', stale)).toContain('Conflict');
    expect((await run('diff -n create -f -', lock('a', { permits: 9 }))).out).toMatch(/^\+ +permits: 9$/m);
    expect(await ok('get lock a -n create -o jsonpath={.spec.permits}')).toBe('1');
  });

  test('explain knows every field', async () => {
    expect(await ok('explain distributedlock.spec')).toMatch(/leaseDurationSeconds\t<integer>/);
    expect(await ok('explain lock.spec.permits')).toContain('FIELD: permits <integer>');
    expect(await ok('explain lease.spec')).toContain('holderIdentity');
    expect(await refused('explain lock.spec.permitz')).toContain('field "permitz" does not exist');
  });

  test('the kubeconfig is for this user alone', () => {
    expect(statSync(join(kube.home, 'config')).mode & 0o777).toBe(0o600);
  });
});
