import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { KubeObject } from '../kube/kube-object.ts';
import { StoreError } from '../kube/lease-store.ts';
import { failToStart, fatalHandler, refuseToStart, stopOnSignal, versionOfPackage } from '../operator/process.ts';
import { systemClock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Environment } from '../system/environment.ts';
import { createLog } from '../system/logger.ts';
import { systemRandom } from '../system/random.ts';
import { systemTimers } from '../system/timers.ts';
import { bannerOf } from './banner.ts';
import { type DevConfig, parseCommand, USAGE } from './config.ts';
import { DataDirectoryError } from './data-directory-error.ts';
import { startDevServer } from './dev-server.ts';
import { openEmbeddedPlace } from './embedded-place.ts';
import { DEFAULT_KUBE_PORT } from './kube-api.ts';
import { readManifests } from './manifests.ts';
import type { Place, Tools } from './place.ts';

/** Runs `npm start` until it is asked to stop. Prints for a person; never throws. */
export async function run(environment: Environment): Promise<void> {
  const command = parseCommand(environment);
  if (command.run === 'help') {
    console.log(USAGE);
    return;
  }
  if (command.run === 'refuse') {
    refuseToStart(command.problems, USAGE);
    return;
  }
  const { config } = command;
  const declared = declaredIn(config);
  if (declared !== undefined) await serve(config, declared);
}

/** The objects of `--apply`; `undefined` if there are problems, which are printed. */
function declaredIn({ apply }: DevConfig): readonly KubeObject[] | undefined {
  if (apply === undefined) return [];
  let text: string;
  try {
    text = readFileSync(apply, 'utf8');
  } catch (error) {
    refuseToStart([`--apply: cannot read ${apply}: ${error instanceof Error ? error.message : String(error)}`]);
    return undefined;
  }
  const { objects, problems } = readManifests(text);
  if (problems.length === 0) return objects;
  refuseToStart(problems.map((problem) => `--apply: ${apply}: ${problem}`));
  return undefined;
}

async function serve(config: DevConfig, declared: readonly KubeObject[]): Promise<void> {
  const log = createLog({ level: config.log });
  const tools = { clock: systemClock(), timers: systemTimers({ keepAlive: true }), random: systemRandom(), log };
  const version = versionOfPackage();
  const resources = new Disposables();
  const stop = new AbortController();
  stopOnSignal(resources, (signal) => {
    console.log(`\n${signal}: stopping; again to stop at once.`);
    stop.abort();
  });
  try {
    const place = resources.add(await openPlace(config, tools, version, stop.signal));
    const { addresses, port } = await startDevServer({
      ...tools,
      place,
      port: config.port,
      socketPath: config.socket,
      declared,
      version,
      onFatal: fatalHandler(log),
      onStandby: (owner) =>
        console.log(`${owner} owns the locks of this cluster. Waiting until it stops, or has been silent for 6 s.`),
      resources,
    });
    const { description, kubeconfigPath } = place;
    console.log(bannerOf({ addresses, port: port ?? config.port, place: description, kubeconfigPath }));
  } catch (error) {
    if (stop.signal.aborted) return;
    await resources.dispose().catch(() => {});
    failToStart(error, error instanceof DataDirectoryError || error instanceof StoreError);
  }
}

async function openPlace(config: DevConfig, tools: Tools, version: string, signal: AbortSignal): Promise<Place> {
  const { kubeconfig, context } = config;
  if (kubeconfig !== undefined) {
    // Only here: the Kubernetes client library costs a second and 60 MB.
    const { openClusterPlace } = await import('./cluster-place.ts');
    return openClusterPlace({ ...tools, kubeconfigPath: resolve(kubeconfig), context, version, signal });
  }
  return openEmbeddedPlace({
    ...tools,
    dataDirectory: config.data,
    kubePort: config['kube-port'] ?? DEFAULT_KUBE_PORT,
    kubeconfigPath: resolve(config['write-kubeconfig'] ?? join(config.data ?? '.lockkeeper', 'kubeconfig')),
  });
}
