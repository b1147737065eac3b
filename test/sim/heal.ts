/** After the faults: everybody must get on, every waiter end, and nothing be left behind. */
import type { LockkeeperError } from '../../src/api/codes.ts';
import { decodeLockLease } from '../../src/server/lease-codec.ts';
import type { Pod } from './pods/pod.ts';
import { lockIdOf } from './pods/pod-flow.ts';
import type { SimClient } from './sim-client.ts';
import type { Simulation } from './simulation.ts';
import { whenDone } from './when-done.ts';

const SETTLES_WITHIN_MS = 150_000;
const PROBE_WITHIN_MS = 90_000;
const EMPTY_WITHIN_MS = 120_000;
const STEP_MS = 2_000;
/** A force release of another probe may meet this one. */
const RETRIED: readonly string[] = ['UNAVAILABLE', 'QUEUE_FULL', 'NOT_HELD', 'OUTCOME_UNKNOWN'];

export async function heal(simulation: Simulation): Promise<void> {
  simulation.isCalm = true;
  simulation.history.note('##', 'heals');
  await until(simulation, SETTLES_WITHIN_MS, () => simulation.owners.some((owner) => owner.isReady));
  await repairRecords(simulation);
  releaseOverdue(simulation);
  const settled = () => simulation.flows.size === 0 || [...simulation.flows].every((flow) => flow.isAbandoned);
  await until(simulation, SETTLES_WITHIN_MS, settled);
  if (simulation.failure !== undefined) return;
  if (!settled()) {
    const left = [...simulation.flows].filter((flow) => !flow.isAbandoned);
    const texts = left.slice(0, 5).map(({ label }) => label);
    simulation.fail('waiter-without-end', `${left.length} flows never ended: ${texts.join('; ')}`, [
      ...left.slice(0, 3).flatMap(({ about }) => about),
      'owner',
    ]);
    return;
  }
  await probe(simulation);
  await empty(simulation);
}

/** Damaged Leases that no owner knows the truth of wait for a person: here is the person. */
async function repairRecords(simulation: Simulation): Promise<void> {
  for (const { name, resource } of simulation.plan.resources) {
    if (resource !== 'lock') continue;
    const { items } = await simulation.leases.truth.list({});
    const damaged = items.find((lease) => {
      if (lease.metadata.name !== `lock-${name.split('/')[1]}`) return false;
      return decodeLockLease(lease).kind !== 'lock';
    });
    if (damaged === undefined) continue;
    simulation.checks.voidDurable(name);
    await simulation.leases.delete(name);
  }
}

/** Holds that outlive their time under expiryPolicy Alert wait for a person too. */
function releaseOverdue(simulation: Simulation): void {
  if (simulation.flows.size === 0 || simulation.failure !== undefined) return;
  const admin = simulation.clients.find((client) => !client.isGone && client.session !== undefined);
  for (const { name, policy } of simulation.plan.resources) {
    if (policy.expiryPolicy !== 'Alert' || admin === undefined) continue;
    void admin.session?.ask({ op: 'forceRelease', key: name, reason: 'overdue', by: 'probe' }, true);
  }
  simulation.apiServer.after(4_000, () => releaseOverdue(simulation));
}

/** Every client takes a lock and gives it back. */
async function probe(simulation: Simulation): Promise<void> {
  const failures: string[] = [];
  let left = 0;
  for (const client of simulation.clients) {
    if (client.isGone || client.session === undefined) continue;
    left++;
    client.process.soon(() => {
      whenDone(probeBy(client), (problem) => {
        left--;
        if (problem !== undefined) failures.push(`${client.name}: ${problem}`);
      });
    });
  }
  for (const pod of simulation.pods) {
    left++;
    pod.app.soon(() => {
      whenDone(probeByPod(pod), (problem) => {
        left--;
        if (problem !== undefined) failures.push(`${pod.name}: ${problem}`);
      });
    });
  }
  await until(simulation, PROBE_WITHIN_MS, () => left === 0);
  if (simulation.failure !== undefined) return;
  if (left > 0) failures.push(`${left} clients were not answered`);
  if (failures.length > 0)
    simulation.fail('no-progress', `${failures.length} probes failed: ${failures.slice(0, 4).join('; ')}`, [
      'probe',
      'owner',
    ]);
}

async function probeBy(client: SimClient): Promise<string | undefined> {
  const { session, simulation } = client;
  const { keys } = simulation.plan;
  const key = keys[client.planned.index % keys.length] as string;
  const ownerId = `c${client.planned.index}.probe`;
  if (session === undefined) return undefined;
  await session.ask({ op: 'forceRelease', key, reason: 'probe', by: 'probe' }, true);
  let last = '';
  for (let attempt = 0; attempt < 20; attempt++) {
    const requestId = `probe${client.planned.index}.${attempt}`;
    const answer = await session.ask(
      { op: 'acquire', key, ownerId, mode: 'exclusive', ttlMs: 3_000, timeoutMs: 40_000, priority: 9, requestId },
      true,
      () => {},
    );
    if (answer.kind === 'hold') {
      const hold = session.holds.get(`${key}#${answer.token}`);
      if (hold !== undefined) session.drop(hold);
      await session.ask({ op: 'release', key, token: answer.token, ownerId, leaveDepth: 0 }, true);
      return undefined;
    }
    if (answer.kind === 'error' && !RETRIED.includes(answer.code)) return `${key} ${answer.code}`;
    last = JSON.stringify(answer);
    await client.sleep(client.chance.between(500, 3_000));
  }
  return `${key} ${last}`;
}

async function probeByPod(pod: Pod): Promise<string | undefined> {
  const { keys } = pod.simulation.plan;
  const key = keys[(pod.planned.index * 5) % keys.length] as string;
  const lockId = lockIdOf(key);
  const ownerId = `${pod.name}.probe`;
  let last = '';
  for (let attempt = 0; attempt < 20; attempt++) {
    const request = { ownerId, ttlMs: 3_000, timeoutMs: 40_000, priority: 9, requestId: `${ownerId}${attempt}` };
    try {
      if (attempt % 4 === 0)
        await pod.call((locks, context) => locks.forceRelease(lockId, { reason: 'probe' }, context));
      const { answer } = await pod.call((locks, context) => locks.acquire(lockId, request, context));
      const { fencingToken } = answer;
      await pod.call((locks, context) => locks.release(lockId, { fencingToken, ownerId }, context));
      return undefined;
    } catch (error) {
      const { code, message } = error as LockkeeperError;
      if (!RETRIED.includes(code)) return `${key} ${code} ${message}`;
      last = `${code} ${message}`;
    }
    await pod.sleep(pod.chance.between(500, 3_000));
  }
  return `${key} ${last}`;
}

/** Everybody leaves; after the longest time to live nothing may be left. */
async function empty(simulation: Simulation): Promise<void> {
  if (simulation.failure !== undefined) return;
  for (const client of simulation.clients) client.process.soon(() => client.session?.goodbye());
  for (const pod of simulation.pods) pod.app.soon(() => pod.goodbye());
  await until(simulation, EMPTY_WITHIN_MS, () => leftovers(simulation) === '');
  if (simulation.failure !== undefined) return;
  const left = leftovers(simulation);
  if (left !== '') simulation.fail('leak', `after everybody left: ${left}`, ['owner']);
  await compareMetrics(simulation);
}

function leftovers(simulation: Simulation): string {
  const owner = simulation.owners.find((each) => each.isReady);
  if (owner === undefined) return 'no owner is ready';
  const problems: string[] = [];
  for (const engine of owner.server?.engines() ?? []) {
    const { holdCount, waiterCount, sessionCount, isDrained } = engine;
    if (holdCount + waiterCount + sessionCount > 0)
      problems.push(`shard ${engine.shard}: ${holdCount} holds, ${waiterCount} waiters, ${sessionCount} sessions`);
    if (!isDrained) problems.push(`shard ${engine.shard}: writes under way`);
  }
  for (const [name, record] of simulation.leases.lockRecords)
    if (record.holders.length > 0) problems.push(`${name} names ${record.holders.length} holders`);
  return problems.join('; ');
}

async function compareMetrics(simulation: Simulation): Promise<void> {
  for (const owner of simulation.owners) {
    const tallies = simulation.checks.ledger.tallies.get(owner.number);
    if (tallies === undefined) continue;
    const names = {
      grants: 'lockkeeper_grants_total',
      released: 'lockkeeper_releases_total',
      expired: 'lockkeeper_expired_leases_total',
      forced: 'lockkeeper_forced_releases_total',
      renewed: 'lockkeeper_renewals_total',
      reentered: 'lockkeeper_reentries_total',
      waits: 'lockkeeper_lock_waits_total',
    } as const;
    for (const [field, name] of Object.entries(names)) {
      const metric = await owner.registry.getSingleMetric(name)?.get();
      const total = metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
      const reported = tallies[field as keyof typeof names];
      if (total !== reported) simulation.fail('audit-disagrees', `${name} is ${total}, ${reported} were reported`);
    }
  }
}

/** Lets time pass in steps until it is so, or the bound is reached. */
async function until(simulation: Simulation, withinMs: number, isSo: () => boolean): Promise<void> {
  const endMs = simulation.world.nowMs + withinMs;
  while (!isSo() && simulation.world.nowMs < endMs && simulation.failure === undefined)
    await simulation.run(Math.min(endMs, simulation.world.nowMs + STEP_MS), STEP_MS);
}
