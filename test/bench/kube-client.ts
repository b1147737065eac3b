/**
 * The client of a real API server: what a Lease PUT costs in this process, one and sixteen in flight, beside a bare HTTP library
 * and beside the Kubernetes library as it is shipped; and how long a list of 10,000 Leases holds everything else up.
 */
import { readFileSync } from 'node:fs';
import { CoordinationV1Api, KubeConfig } from '@kubernetes/client-node';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { openCluster } from '../../src/kube/cluster/cluster.ts';
import type { StoredLease } from '../../src/kube/lease.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { startControlPlane } from '../kube/control-plane/control-plane.ts';
import { quantile } from './quantile.ts';

const ROUND_MS = 2_000;
const ROUNDS = 5;
const LEASES = 10_000;
/** A list may hold everything else up for no longer, at the median of several. */
const TURN_MS_MAX = 15;
const NAMESPACE = 'default';

let names = 0;

await using controlPlane = await startControlPlane({ say: (line) => console.log(line) });
await using cluster = await openCluster({
  kubeconfigPath: controlPlane.kubeconfigPath,
  userAgent: 'lockkeeper-bench',
  // What is measured here is the cost of an answer, however long the machine lets it wait.
  writeTimeoutMs: 60_000,
  clock: systemClock(),
  timers: systemTimers({ keepAlive: true }),
  random: systemRandom(),
  log: silentLog,
});

/** Replaces a Lease, given and returned as this client has it. */
type Put = (lease: StoredLease) => Promise<StoredLease>;

function ours(): Put {
  return (lease) => cluster.leases.update(lease);
}

/** Nothing but HTTP and JSON. */
function bare(): Put {
  const { clusters, users } = parse(readFileSync(controlPlane.kubeconfigPath, 'utf8'));
  const data = (from: Record<string, string>, field: string) => Buffer.from(from[field] ?? '', 'base64');
  const dispatcher = new Agent({
    connections: 16,
    allowH2: false,
    connect: {
      ca: data(clusters[0].cluster, 'certificate-authority-data'),
      cert: data(users[0].user, 'client-certificate-data'),
      key: data(users[0].user, 'client-key-data'),
    },
  });
  return async (lease) => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/${lease.metadata.name}`;
    const { statusCode, body } = await request(controlPlane.server + path, {
      dispatcher,
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...lease }),
    });
    if (statusCode !== 200) throw new Error(`a bare PUT was answered with ${statusCode}: ${await body.text()}`);
    return (await body.json()) as StoredLease;
  };
}

/** `CoordinationV1Api` of a `KubeConfig`, as its documentation shows it. */
function shipped(): Put {
  const config = new KubeConfig();
  config.loadFromFile(controlPlane.kubeconfigPath);
  const api = config.makeApiClient(CoordinationV1Api);
  return async (lease) => {
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...lease } as object;
    const { name } = lease.metadata;
    return (await api.replaceNamespacedLease({ namespace: NAMESPACE, name, body })) as unknown as StoredLease;
  };
}

interface Round {
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
  readonly perSecond: number;
}

/** `inFlight` loops, each replacing a Lease of its own, for `durationMs`. */
async function round(put: Put, inFlight: number, durationMs: number): Promise<Round> {
  const annotations = { 'bench.example/payload': 'x'.repeat(400) };
  const current = await Promise.all(
    Array.from({ length: inFlight }, () =>
      cluster.leases.create({ metadata: { namespace: NAMESPACE, name: `put-${names++}`, annotations }, spec: {} }),
    ),
  );
  const timesMs: number[] = [];
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(
    current.map(async (created) => {
      let lease = created;
      for (let turn = 0; performance.now() - startedMs < durationMs; turn++) {
        const sentMs = performance.now();
        lease = await put({ metadata: lease.metadata, spec: { holderIdentity: `turn-${turn}` } });
        timesMs.push(performance.now() - sentMs);
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    p50: quantile(timesMs, 0.5),
    p99: quantile(timesMs, 0.99),
    cpu: (user + system) / timesMs.length,
    perSecond: (timesMs.length * 1_000) / (performance.now() - startedMs),
  };
}

const clients: readonly (readonly [string, Put])[] = [
  ['this client', ours()],
  ['bare HTTP', bare()],
  ['the library as shipped', shipped()],
];
for (const [, put] of clients) await round(put, 16, 1_000);
for (const inFlight of [1, 16]) {
  const rounds = clients.map((): Round[] => []);
  // In turns, so that what else the machine does meets all of them.
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (const [index, [, put]] of clients.entries()) rounds[index]?.push(await round(put, inFlight, ROUND_MS));
  }
  for (const [index, [what]] of clients.entries()) {
    const of = (field: keyof Round) =>
      quantile(
        (rounds[index] ?? []).map((each) => each[field]),
        0.5,
      );
    console.log(
      `Lease PUT, ${what}, ${inFlight} in flight: ${of('perSecond').toFixed(0)}/s, p50 ${of('p50').toFixed(1)} ms, p99 ${of('p99').toFixed(1)} ms, ${of('cpu').toFixed(0)} us of this process's CPU each`,
    );
  }
}

let next = 0;
await Promise.all(
  Array.from({ length: 16 }, async () => {
    while (next < LEASES) {
      const metadata = { namespace: NAMESPACE, name: `list-${next++}`, labels: { list: 'yes' } };
      const annotations = { 'bench.example/payload': 'x'.repeat(400) };
      await cluster.leases.create({ metadata: { ...metadata, annotations }, spec: { holderIdentity: 'somebody' } });
    }
  }),
);
/** The most CPU time, in ms, that this thread spends in one turn of the event loop until `done`: other processes do not count. */
async function longestTurnMs(done: Promise<unknown>): Promise<number> {
  let longest = 0;
  let { user, system } = process.threadCpuUsage();
  const ended = done.then(() => true);
  const turn = () => new Promise<boolean>((resolve) => setImmediate(() => resolve(false)));
  while (!(await Promise.race([ended, turn()]))) {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, now.user - user + now.system - system);
    ({ user, system } = now);
  }
  return longest / 1_000;
}

const longest: number[] = [];
const took: number[] = [];
for (let turn = 0; turn < 9; turn++) {
  const startedMs = performance.now();
  const listing = cluster.leases.list({ namespace: NAMESPACE, labelSelector: 'list=yes' });
  longest.push(await longestTurnMs(listing));
  took.push(performance.now() - startedMs);
  const { items } = await listing;
  if (items.length !== LEASES) throw new Error(`the list has ${items.length} Leases, not ${LEASES}`);
}
const turnMs = quantile(longest, 0.5);
console.log(
  `list of ${LEASES} Leases: ${quantile(took, 0.5).toFixed(0)} ms; the longest turn of the event loop takes ${turnMs.toFixed(1)} ms of CPU (${longest.map((each) => each.toFixed(1)).join(', ')})`,
);
if (turnMs > TURN_MS_MAX) {
  console.error(`The list holds everything else up for longer than ${TURN_MS_MAX} ms.`);
  process.exitCode = 1;
}
