/**
 * DistributedLocks on a real API server: acquire over HTTP beside the Lease PUT that it cannot do without, hand-over of one hot
 * lock beside a naive loop of compare-and-swap on one Lease, and an operator with 10,000 locks. All in one run, so that ratios
 * hold on any machine; each figure is the median of several rounds, and rounds of different kinds alternate.
 *
 * `BENCH_SECONDS` (default 3) is the length of a round, `BENCH_ROUNDS` (default 5) their number, `BENCH_LOCKS` (default 10,000)
 * the locks of the last part. Fails if an acquire takes longer than 20 ms at p99 with 4 clients.
 */
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { openCluster } from '../../src/kube/cluster/cluster.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { etcdArguments } from '../kube/control-plane/commands.ts';
import { startControlPlane } from '../kube/control-plane/control-plane.ts';
import { freePort } from '../kube/control-plane/ports.ts';
import { readState } from '../kube/control-plane/state.ts';
import { DevPair } from '../kube/kill/dev-pair.ts';
import { ROOT } from '../support/node-process.ts';
import { figuresOf, median, ms, type Round } from './durable/figures.ts';
import { LockClient } from './durable/lock-client.ts';
import { acquires, hotLock, lockName } from './durable/locks.ts';
import { declareLocks, settledWeight, startTimeMs, type Weight, weightOf } from './durable/memory.ts';
import { type Contest, naiveCas } from './durable/naive-cas.ts';
import { rawPuts } from './durable/raw-put.ts';
import { quantile } from './quantile.ts';

const ROUND_MS = Number(process.env['BENCH_SECONDS'] ?? 3) * 1_000;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const LOCKS = Number(process.env['BENCH_LOCKS'] ?? 10_000);
const CLIENTS = [1, 4, 8, 32, 128];
const FIGHTERS = [8, 32];
/** So that an acquire meets a lock whose last release has been written. */
const LOCKS_EACH = 8;
const P99_MS_MAX = 20;
const NAMESPACE = 'default';

await using controlPlane = await startControlPlane({ say: (line) => console.log(`durable: ${line}`) });
console.log(`durable: ${etcdSetting(controlPlane.directory)}; load average before: ${loadavg()[0]?.toFixed(1)}`);
const applied = await controlPlane.kubectl(['apply', '-f', join(ROOT, 'crds')]);
if (applied.exitCode !== 0) throw new Error(applied.error);
await using cluster = await openCluster({
  kubeconfigPath: controlPlane.kubeconfigPath,
  userAgent: 'lockkeeper-bench',
  ...{ clock: systemClock(), timers: systemTimers({ keepAlive: true }), random: systemRandom(), log: silentLog },
  ...{ requestsPerSecondMax: 100_000, requestsBurst: 100_000, connectionsMax: Math.max(...CLIENTS) },
});
await using operator = new DevPair({ kubeconfigPath: controlPlane.kubeconfigPath, port: await freePort() });
console.log(
  `durable start: ${(await startTimeMs(operator)).toFixed(0)} ms with no lock; ${weight(await weightOf(operator))}`,
);
await declareLocks(controlPlane.http, NAMESPACE, 0, Math.max(...CLIENTS) * LOCKS_EACH);
await using locks = new LockClient(operator.origin, NAMESPACE, Math.max(...CLIENTS));

let failed = false;
for (const clients of CLIENTS) await compareAcquires(clients);
for (const clients of FIGHTERS) await compareHotLock(clients);
await weighMany();
if (locks.unavailable > 0) console.log(`durable: ${locks.unavailable} answers were UNAVAILABLE and asked again`);
if (failed) console.error(`durable: an acquire with 4 clients may take ${P99_MS_MAX} ms at p99`);
process.exitCode = failed ? 1 : 0;

async function compareAcquires(clients: number): Promise<void> {
  const rounds: Record<'put' | 'acquire' | 'again', Round[]> = { put: [], acquire: [], again: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    const put = await rawPuts(cluster.leases, NAMESPACE, clients, ROUND_MS);
    const acquire = await acquires(locks, clients, LOCKS_EACH, ROUND_MS);
    const again = await acquires(locks, clients, 1, ROUND_MS);
    // The first round warms both sides up.
    if (round > 0) for (const [kind, one] of Object.entries({ put, acquire, again })) rounds[kind as 'put'].push(one);
  }
  const [put, acquire, again] = [figuresOf(rounds.put), figuresOf(rounds.acquire), figuresOf(rounds.again)];
  const each = (name: string, { p50Ms, p99Ms, perSecond }: typeof put) =>
    console.log(`durable ${name}, ${clients} clients: p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, ${perSecond.toFixed(0)}/s`);
  each('Lease PUT', put);
  each('acquire of a free lock', acquire);
  each('acquire of the lock just released', again);
  const [half, most] = [acquire.p50Ms / put.p50Ms, acquire.p99Ms / put.p99Ms];
  console.log(
    `durable ratio, ${clients} clients: acquire is ${half.toFixed(2)} Lease PUTs at p50, ${most.toFixed(2)} at p99`,
  );
  if (clients === 4 && acquire.p99Ms > P99_MS_MAX) failed = true;
}

async function compareHotLock(clients: number): Promise<void> {
  const ours: Contest[] = [];
  const theirs: Contest[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await hotLock(locks, lockName(0), clients, ROUND_MS));
    theirs.push(await naiveCas(controlPlane.http.access, NAMESPACE, clients, ROUND_MS));
  }
  const wins = (contests: readonly Contest[]) => median(contests.map(({ winsPerSecond }) => winsPerSecond));
  const gap = (contests: readonly Contest[], share: number) =>
    ms(median(contests.map(({ gapsMs }) => quantile(gapsMs, share))));
  const conflicts = median(theirs.map(({ conflictShare }) => conflictShare)) * 100;
  console.log(
    `durable hot lock, ${clients} clients: ${wins(ours).toFixed(0)} grants/s, from a release to the next grant p50 ${gap(ours, 0.5)}, p99 ${gap(ours, 0.99)}`,
  );
  console.log(
    `durable naive loop on one Lease, ${clients} clients: ${wins(theirs).toFixed(0)} wins/s, gap p50 ${gap(theirs, 0.5)}, p99 ${gap(theirs, 0.99)}, ${conflicts.toFixed(0)} % of the PUTs conflict`,
  );
  console.log(
    `durable ratio, ${clients} clients: ${(wins(ours) / wins(theirs)).toFixed(1)} times the naive loop's rate`,
  );
}

async function weighMany(): Promise<void> {
  const before = Math.max(...CLIENTS) * LOCKS_EACH;
  await declareLocks(controlPlane.http, NAMESPACE, before, LOCKS);
  await operator.kill();
  const startMs = await startTimeMs(operator);
  console.log(
    `durable ${LOCKS} locks: starts in ${(startMs / 1_000).toFixed(1)} s after a kill, 6 s of them waiting for its predecessor's Lease`,
  );
  console.log(`durable ${LOCKS} locks, declared: ${weight(await settledWeight(operator))}`);
  let next = 0;
  const hold = async () => {
    for (let index = next++; index < LOCKS; index = next++) await locks.acquire(lockName(index), 60_000, 3_600_000);
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: 32 }, hold));
  const perSecond = (LOCKS / (performance.now() - startedMs)) * 1_000;
  console.log(
    `durable ${LOCKS} locks, all held: ${weight(await settledWeight(operator))}; taken at ${perSecond.toFixed(0)}/s`,
  );
}

function weight({ residentMiB, heapMiB }: Weight): string {
  return `resident ${residentMiB.toFixed(0)} MiB, heap ${heapMiB.toFixed(0)} MiB`;
}

function etcdSetting(directory: string): string {
  const own = readState(directory)?.own;
  if (own === undefined) return 'etcd of an existing cluster';
  const fsync = etcdArguments(own).includes('--unsafe-no-fsync') ? 'without fsync' : 'with fsync';
  return `etcd ${own.etcd.version} ${fsync}, data in ${own.dataDirectory.startsWith('/dev/shm/') ? 'memory' : 'a folder'}`;
}
