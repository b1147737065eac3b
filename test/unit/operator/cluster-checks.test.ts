/**
 * Goal: an operator that cannot work on a cluster says why, in words that tell what to do, and only after it has tried for long enough.
 * Method: the checks against a scripted cluster, on virtual time.
 */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import type { AccessRequest } from '../../../src/kube/cluster/access-review.ts';
import type { Cluster } from '../../../src/kube/cluster/cluster.ts';
import type { KubeObject } from '../../../src/kube/kube-object.ts';
import { StoreError } from '../../../src/kube/lease-store.ts';
import { checkCluster } from '../../../src/operator/cluster-checks.ts';
import { OPERATOR_RULES } from '../../../src/operator/permissions.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';

const refused = (httpStatus: number) => new StoreError('rejected', `Cannot do it (${httpStatus}).`, { httpStatus });

class Scene {
  readonly time = new VirtualTime();
  /** What the version call fails with; undefined: it answers. */
  versionFails: () => StoreError | undefined = () => undefined;
  allows: (access: AccessRequest) => boolean = () => true;
  readonly objects = new Map<string, object>(
    customResourceDefinitions().map((definition) => [definition.metadata.name, definition]),
  );
  createNamespace: () => StoreError | undefined = () => undefined;
  readonly created: string[] = [];
  readonly warned: string[] = [];
  readonly stop = new AbortController();

  constructor() {
    this.objects.set('lockkeeper-system', {});
  }

  /** Resolves or rejects as the checks do, letting up to two minutes pass. */
  async check(): Promise<string> {
    const { time: clock, time: timers } = this;
    const state = { isOver: false };
    const checked = checkCluster({
      ...{ clock, timers, random: seededRandom(3), cluster: this.#cluster(), signal: this.stop.signal },
      namespace: 'lockkeeper-system',
      rules: OPERATOR_RULES,
      log: { ...silentLog, warn: (_, message) => this.warned.push(message) },
    }).finally(() => {
      state.isOver = true;
    });
    checked.catch(() => {});
    for (let waitedMs = 0; !state.isOver && waitedMs < 120_000; waitedMs += 100) await this.time.runBy(100);
    await checked;
    return 'passed';
  }

  #cluster(): Cluster {
    const answer = <Value>(value: Value, error: StoreError | undefined): Promise<Value> =>
      error === undefined ? Promise.resolve(value) : Promise.reject(error);
    const objects = {
      get: (_type: object, _namespace: undefined, name: string) => answer(this.objects.get(name), undefined),
      create: (_type: object, { metadata }: KubeObject) => {
        this.created.push(metadata.name);
        return answer({}, this.createNamespace());
      },
    };
    return {
      server: 'https://127.0.0.1:6443',
      version: () => answer('v1.36.3', this.versionFails()),
      isAllowed: (access: AccessRequest) => Promise.resolve(this.allows(access)),
      objects,
    } as unknown as Cluster;
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe('a cluster', () => {
  it('that has everything passes, without a warning and with nothing made', async () => {
    await scene.check();
    expect([scene.warned, scene.created]).toEqual([[], []]);
  });
});

describe('the API server', () => {
  it('that does not answer is waited for, then named', async () => {
    scene.versionFails = () => new StoreError('rejected', 'Cannot do it: connect ECONNREFUSED.', { retryable: true });
    await expect(scene.check()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'unreachable', server: 'https://127.0.0.1:6443' },
      message:
        'The API server https://127.0.0.1:6443 gave no usable answer for 60 s (Cannot do it: connect ECONNREFUSED). Check that it runs, that this machine reaches it, and the kubeconfig.',
    });
    expect(scene.time.monotonicMs()).toBeGreaterThan(60_000);
    expect(scene.time.monotonicMs()).toBeLessThan(67_000);
    // With a growing pause: not a request every moment.
    expect(scene.warned.length).toBeLessThan(25);
  });

  it('that answers after a while is good', async () => {
    scene.versionFails = () => (scene.time.monotonicMs() < 30_000 ? refused(503) : undefined);
    await scene.check();
    expect(scene.time.monotonicMs()).toBeLessThan(36_000);
  });

  it('that does not know the account says so at once', async () => {
    scene.versionFails = () => refused(401);
    await expect(scene.check()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(scene.time.monotonicMs()).toBeLessThan(1_000);
  });

  it('that tells its version to nobody is reached all the same', async () => {
    scene.versionFails = () => refused(403);
    expect(await scene.check()).toBe('passed');
  });

  it('is not waited for any longer by a process that is asked to stop', async () => {
    scene.versionFails = () => refused(503);
    const checked = scene.check();
    scene.stop.abort(new Error('stopped'));
    await expect(checked).rejects.toThrow('Cannot do it (503).');
    expect(scene.time.monotonicMs()).toBeLessThan(1_000);
  });
});

describe('permissions', () => {
  it('that are missing are all named, with the rules to add', async () => {
    scene.allows = ({ verb, resource }) => resource !== 'leases' && verb !== 'patch';
    const failure = await scene.check().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'PERMISSION_DENIED' });
    const { message } = failure as Error;
    expect(message).toContain('kubectl apply -f deploy/rbac.yaml');
    expect(message).toContain('resources: ["leases"]\n  verbs: ["get", "list", "watch", "create", "update", "delete"]');
    expect(message).toContain('resources: ["lockpools/status"]\n  verbs: ["patch"]');
    expect(message).not.toContain('customresourcedefinitions');
  });
});

describe('the custom resources', () => {
  it('that are missing, being deleted, or of another version are named', async () => {
    scene.objects.delete('lockpools.lockkeeper.dev');
    scene.objects.set('distributedlocks.lockkeeper.dev', {
      metadata: {},
      spec: {
        versions: [
          { name: 'v2', served: true },
          { name: 'v1alpha1', served: false },
        ],
      },
    });
    await expect(scene.check()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'customResources' },
      message:
        'The custom resources of Lockkeeper are not installed as this version needs them: distributedlocks.lockkeeper.dev does not serve the version v1alpha1; lockpools.lockkeeper.dev is missing. Run kubectl apply -f crds/ and start again.',
    });
  });

  it('with the schema of another release are served, with a warning', async () => {
    const [definition] = customResourceDefinitions();
    const [version] = definition?.spec.versions ?? [];
    const newer = { ...version, schema: { openAPIV3Schema: { type: 'object' } } };
    scene.objects.set('distributedlocks.lockkeeper.dev', { metadata: {}, spec: { versions: [newer] } });
    await scene.check();
    expect(scene.warned).toEqual([
      'the custom resource has the schema of another version of Lockkeeper: kubectl apply -f crds/',
    ]);
  });
});

describe('the namespace', () => {
  it('is made if it is missing', async () => {
    scene.objects.delete('lockkeeper-system');
    await scene.check();
    expect(scene.created).toEqual(['lockkeeper-system']);
  });

  it('that another process makes at the same moment is good', async () => {
    scene.objects.delete('lockkeeper-system');
    scene.createNamespace = () => new StoreError('conflict', 'There is one.', { httpStatus: 409 });
    expect(await scene.check()).toBe('passed');
  });

  it('that may not be made is named, with the command to make it', async () => {
    scene.objects.delete('lockkeeper-system');
    scene.createNamespace = () => refused(403);
    await expect(scene.check()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'namespaceMissing', namespace: 'lockkeeper-system' },
    });
  });

  it('that may not be looked at is taken to be there', async () => {
    scene.objects.delete('lockkeeper-system');
    scene.allows = ({ resource }) => resource !== 'namespaces';
    await scene.check();
    expect(scene.created).toEqual([]);
  });
});
