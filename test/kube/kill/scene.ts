/**
 * The setting of the kill and fault tests: a control plane of its own, the fault proxy before it, the operator on the proxy, and
 * a fleet of clients that fights over its locks; at the end everything is judged.
 */
import { join } from 'node:path';
import { ROOT } from '../../support/node-process.ts';
import type { AuditEntry } from '../control-plane/audit-log.ts';
import { type ControlPlane, startControlPlane } from '../control-plane/control-plane.ts';
import { freePort } from '../control-plane/ports.ts';
import { waitFor } from '../../support/wait.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy/fault-proxy.ts';
import { freshNamespace, type Namespace } from '../support.ts';
import { ApiClient } from './api-client.ts';
import { AttemptLog } from './attempt-log.ts';
import { DevPair } from './dev-pair.ts';
import { Fleet } from './fleet.ts';
import { type PlannedLock, planLocks } from './fleet-plan.ts';
import { type Call, type HoldCall, History, isHoldCall } from './history.ts';
import { holdsOf } from './holds.ts';
import { type Allowances, judgeExclusion, judgeLosses, NOTHING_LOST } from './judge-holds.ts';
import { judgeOwners, judgeTokens } from './judge-tokens.ts';
import { judgeWaits } from './judge-waits.ts';
import { judgeAudit, judgeNumbers, judgeRecorded, judgeStored } from './judge-writes.ts';
import { type Attempt, auditedWrites } from './lease-attempts.ts';

export interface SceneOptions {
  readonly seed: number;
  /** Default 200. */
  readonly clients?: number;
  /** Default 20. */
  readonly locks?: number;
}

/** What a run's faults excuse. Default: nothing. */
export interface Excuses extends Allowances {
  /** Answers of the API server were lost: a write that it never answered may be the one that a grant rests on. */
  readonly answersLost?: boolean;
  /** When etcd came back as it was earlier: resourceVersions were given out twice. */
  readonly restoredAtMs?: readonly number[];
  /** Its audit log is not complete. */
  readonly apiServerKilled?: boolean;
  /** How much later than its own timeout a call may end. */
  readonly waitBoundMs?: number;
}

/** Locks that no client of the fleet knows. */
const witnesses: readonly PlannedLock[] = [{ name: 'witness', use: 'exclusive', permits: 1 }];

/** A call may wait for a write (5 s) and a read after it (10 s), and for a processor on a machine that others use too. */
const WAIT_BOUND_MS = 20_000;

export class Scene implements AsyncDisposable {
  readonly controlPlane: ControlPlane;
  readonly proxy: FaultProxy;
  readonly attempts: AttemptLog;
  readonly pair: DevPair;
  readonly history: History;
  readonly locks: readonly PlannedLock[];
  readonly namespace: Namespace;
  readonly #api: ApiClient;
  readonly #fleet: Fleet;

  private constructor(
    parts: Pick<Scene, 'controlPlane' | 'proxy' | 'attempts' | 'pair' | 'namespace' | 'locks'>,
    options: SceneOptions,
  ) {
    this.controlPlane = parts.controlPlane;
    this.proxy = parts.proxy;
    this.attempts = parts.attempts;
    this.pair = parts.pair;
    this.namespace = parts.namespace;
    this.locks = parts.locks;
    this.history = new History();
    this.#api = new ApiClient(this.pair.origin, this.namespace.name, this.history);
    const { seed, clients = 200 } = options;
    this.#fleet = new Fleet({ api: this.#api, locks: this.locks, clients, seed });
  }

  /** Resolves with the fleet at work. */
  static async open(options: SceneOptions): Promise<Scene> {
    const resources = new AsyncDisposableStack();
    try {
      const controlPlane = resources.use(await startControlPlane());
      const attempts = new AttemptLog();
      const proxy = resources.use(await startFaultProxy(controlPlane.kubeconfigPath, { observe: attempts.observe }));
      const namespace = await freshNamespace(controlPlane);
      const locks = planLocks(options.locks ?? 20);
      await declare(controlPlane, namespace, [...locks, ...witnesses]);
      const port = await freePort();
      const pair = resources.use(new DevPair({ kubeconfigPath: proxy.kubeconfigPath, port }));
      await pair.start();
      return new Scene({ controlPlane, proxy, attempts, pair, namespace, locks }, options);
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Resolves once clients have received so many grants since a moment. */
  async grants(count: number, sinceMs: number, timeoutMs = 120_000): Promise<void> {
    const enough = () => this.history.grantsSince(sinceMs).length >= count;
    const what = `${count} grants; the operator printed:\n${this.pair.output}`;
    await waitFor(enough, { what, timeoutMs, intervalMs: 2 });
  }

  /** Starts the operator again. Both times from `fromMs`: until it serves, and until a client has a grant of it. */
  async resume(fromMs: number): Promise<{ readonly servesMs: number; readonly grantsMs: number }> {
    this.pair.spawn();
    await this.pair.ready();
    const readyMs = performance.now();
    // An answer of its predecessor may have been read a moment after the kill, but not as late as this.
    await this.grants(1, fromMs + 500);
    return { servesMs: readyMs - fromMs, grantsMs: (this.history.grantsSince(fromMs + 500)[0]?.endedMs ?? 0) - fromMs };
  }

  /** Takes a lock that the fleet does not know, for the test itself. @throws Error unless it is granted. */
  async hold(lock: string, ttlMs: number): Promise<HoldCall> {
    const call = await this.#api.call({ client: 'test', lock, ownerId: 'test', verb: 'acquire', fields: { ttlMs } });
    if (!isHoldCall(call)) throw new Error(`${lock} was not granted: ${JSON.stringify(call.answer)}`);
    return call;
  }

  /** Renews or gives back what `hold` took. */
  again(verb: 'renew' | 'release', { client, lock, ownerId, answer }: HoldCall): Promise<Call> {
    return this.#api.call({ client, lock, ownerId, token: answer.token, verb });
  }

  /** Judges what clients saw until now, and what was written, while the fleet goes on. */
  judgeSoFar(excuses: Excuses = NOTHING_LOST): string[] {
    const attempts = this.attempts.withVersions(this.#leaseEntries());
    return [...this.#judgeClients(attempts, excuses), ...judgeNumbers(attempts)];
  }

  /** Stops the fleet, takes and gives back every lock, looks for what is left over, and judges all that was seen. */
  async judge(excuses: Excuses = NOTHING_LOST): Promise<string[]> {
    this.proxy.clear();
    await this.#fleet.stop();
    const violations = await this.#takeEveryLock();
    violations.push(...(await this.#leftOver()));
    if (excuses.apiServerKilled === true) this.controlPlane.auditLog.forgetOpen();
    await this.controlPlane.auditLog.settled();
    const entries = this.#leaseEntries();
    const attempts = this.attempts.withVersions(entries);
    violations.push(...this.#judgeClients(attempts, excuses), ...judgeNumbers(attempts));
    violations.push(...judgeStored(attempts, this.locks, excuses.restoredAtMs));
    if (excuses.apiServerKilled !== true) violations.push(...judgeAudit(attempts, auditedWrites(entries)));
    return violations;
  }

  #leaseEntries(): readonly AuditEntry[] {
    return this.controlPlane.auditLog.entries({ resource: 'leases', namespace: this.namespace.name });
  }

  #judgeClients(attempts: readonly Attempt[], excuses: Excuses): string[] {
    const { calls } = this.history;
    const holds = holdsOf(calls);
    const told = calls
      .filter(isHoldCall)
      .map(({ lock, answer, ownerId }) => [`${lock}#${answer.token}`, ownerId] as const);
    return [
      ...judgeExclusion(holds, this.locks, excuses),
      ...judgeLosses(holds, excuses),
      ...judgeTokens(holds, this.locks),
      ...judgeOwners(told),
      ...judgeRecorded(holds, attempts, excuses.answersLost),
      ...judgeWaits(calls, excuses.waitBoundMs ?? WAIT_BOUND_MS),
    ];
  }

  async #takeEveryLock(): Promise<string[]> {
    const taken = this.locks.flatMap(({ name, permits }) =>
      Array.from({ length: permits }, async (_, index) => {
        const request = { client: 'last', lock: name, ownerId: `last.${index}` };
        const call = await this.#api.call({
          ...request,
          verb: 'acquire',
          timeoutMs: 40_000,
          fields: { ttlMs: 60_000 },
        });
        if (!isHoldCall(call)) return `${name} cannot be taken at the end: ${JSON.stringify(call.answer)}`;
        return { ...request, token: call.answer.token };
      }),
    );
    const all = await Promise.all(taken);
    // Only then: all permits of a lock were free at once.
    const granted = all.filter((each) => typeof each !== 'string');
    await Promise.all(granted.map((each) => this.#api.call({ ...each, verb: 'release' })));
    return all.filter((each) => typeof each === 'string');
  }

  async #leftOver(): Promise<string[]> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${this.namespace.name}/leases`;
    const held = async () => {
      const { items } = await this.controlPlane.http.get(path);
      return (items as { spec: { holderIdentity?: string }; metadata: { name: string } }[])
        .filter(({ spec }) => (spec.holderIdentity ?? '') !== '')
        .map(({ metadata, spec }) => `the Lease ${metadata.name} still names ${spec.holderIdentity}`);
    };
    // The last releases are written after they were acknowledged.
    await waitFor(async () => (await held()).length === 0, { what: 'free locks', timeoutMs: 10_000 }).catch(() => {});
    const gauges = ['lockkeeper_holds', 'lockkeeper_queue_length'];
    const counts = await Promise.all(gauges.map(async (name) => [name, await this.pair.metric(name)] as const));
    const left = counts.filter(([, count]) => count !== 0).map(([name, count]) => `${name} is ${count} at the end`);
    return [...(await held()), ...left];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair[Symbol.asyncDispose]();
    await this.#fleet.stop();
    await this.#api[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.controlPlane[Symbol.asyncDispose]();
  }
}

async function declare(controlPlane: ControlPlane, namespace: Namespace, locks: readonly PlannedLock[]): Promise<void> {
  const applied = await controlPlane.kubectl(['apply', '-f', join(ROOT, 'crds')]);
  if (applied.exitCode !== 0) throw new Error(`kubectl apply -f crds: ${applied.error}`);
  const collection = `/apis/lockkeeper.dev/v1alpha1/namespaces/${namespace.name}/distributedlocks`;
  await waitFor(async () => (await controlPlane.http.call('GET', collection)).status === 200, {
    what: 'served resource',
  });
  for (const { name, permits } of locks) {
    const body = {
      apiVersion: 'lockkeeper.dev/v1alpha1',
      kind: 'DistributedLock',
      metadata: { name },
      spec: { permits },
    };
    await controlPlane.http.expectSuccess('POST', collection, { body });
  }
}
