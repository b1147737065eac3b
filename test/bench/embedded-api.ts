/**
 * The embedded Kubernetes API under `npm start`, as a process of its own: memory with 10,000 locks, memory and CPU with 1,000
 * watchers over HTTP while locks change hands.
 */
import { type IncomingMessage, request } from 'node:http';
import { DevProcess } from '../support/dev-process.ts';

const LOCKS = 10_000;
const WATCHERS = 1_000;
/** Acquires and releases; each makes at least one status write, which every watcher hears. */
const CHANGES = 200;
const COLLECTION = '/apis/lockkeeper.dev/v1alpha1/namespaces/default/distributedlocks';

const server = await DevProcess.start(['--log', 'error']);
const kubePort = Number(/127\.0\.0\.1:(\d+)/.exec(await readText(server.kubeconfig))?.[1]);

async function readText(path: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(path, 'utf8');
}

async function createLock(index: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${kubePort}${COLLECTION}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'lockkeeper.dev/v1alpha1',
      kind: 'DistributedLock',
      metadata: { name: `bench-${index}` },
      spec: {},
    }),
  });
  if (response.status !== 201) throw new Error(`creation answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

let lines = 0;
function watch(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(
      { port: kubePort, host: '127.0.0.1', path: `${COLLECTION}?watch=1&resourceVersion=${version}`, agent: false },
      (response) => {
        response.on('data', (chunk: Buffer) => {
          for (const byte of chunk) if (byte === 10) lines++;
        });
        resolve(response);
      },
    )
      .on('error', reject)
      .end();
  });
}

const rssMiB = async () => Math.round((await server.metric('process_resident_memory_bytes')) / 2 ** 20);
const cpuSeconds = () => server.metric('process_cpu_seconds_total');

const emptyMiB = await rssMiB();
const started = performance.now();
await inParallel(LOCKS, 32, createLock);
const createdSeconds = (performance.now() - started) / 1_000;
// Every lock has been reconciled once its status says Ready; the last ones tell that all are.
while ((await server.metric('lockkeeper_status_writes_total')) < LOCKS)
  await new Promise((resolve) => setTimeout(resolve, 500));
const fullMiB = await rssMiB();
console.log(
  `embedded-api locks: ${LOCKS.toLocaleString('en')} created in ${createdSeconds.toFixed(1)} s; process ${emptyMiB} MiB empty, ${fullMiB} MiB with all reconciled`,
);

const list = (await (await fetch(`http://127.0.0.1:${kubePort}${COLLECTION}?limit=1`)).json()) as {
  metadata: { resourceVersion: string };
};
const version = list.metadata.resourceVersion;
const watches: IncomingMessage[] = [];
await inParallel(WATCHERS, 50, async () => {
  watches.push(await watch());
});
const watchedMiB = await rssMiB();
const cpuBefore = await cpuSeconds();
const changesStarted = performance.now();
const linesBefore = lines;
await inParallel(CHANGES, 8, async (index) => {
  const { body } = await server.post(`/v1/locks/bench-${index}:acquire`, { ownerId: 'bench' });
  await server.post(`/v1/locks/bench-${index}:release`, { fencingToken: body['fencingToken'] });
});
let settled = -1;
while (settled !== lines) {
  settled = lines;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
}
const delivered = lines - linesBefore;
const cpu = (await cpuSeconds()) - cpuBefore;
const seconds = (performance.now() - changesStarted) / 1_000;
console.log(
  `embedded-api watchers: ${WATCHERS.toLocaleString('en')} take ${watchedMiB - fullMiB} MiB (process ${await rssMiB()} MiB); ` +
    `${CHANGES} acquire + release made ${delivered.toLocaleString('en')} events in ${seconds.toFixed(1)} s, ` +
    `${((cpu / Math.max(1, delivered)) * 1e6).toFixed(1)} microseconds of CPU each`,
);
for (const response of watches) response.destroy();
await server.kill();
