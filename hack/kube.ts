/**
 * A real control plane in the background, for trying things out.
 *
 * `npm run kube -- up --dir D` starts one and leaves it: `D/kubeconfig` is for kubectl. `npm run kube -- down --dir D` ends it.
 * `npm run kube -- prepare` gets the programs that are needed, and starts nothing. Exit code 3: there are none to be had.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { NoBinariesError, findBinaries, findBinary } from '../test/kube/control-plane/binaries.ts';
import { attachControlPlane, startControlPlane } from '../test/kube/control-plane/control-plane.ts';
import { wantsExistingCluster } from '../test/kube/control-plane/existing-cluster.ts';

const usage = 'Usage: npm run kube -- up|down --dir DIRECTORY, or npm run kube -- prepare';

const say = (line: string): void => console.log(line);

/** For a cluster that is there already only kubectl is needed. */
async function prepare(): Promise<void> {
  if (wantsExistingCluster()) await findBinary('kubectl', say);
  else await findBinaries(say);
}

async function up(directory: string): Promise<string> {
  const found = attachControlPlane(directory);
  if (found) {
    const { etcd, apiServer } = found.components;
    if (etcd.pid !== undefined && apiServer.pid !== undefined) {
      return `Kubernetes ${found.version} already runs: export KUBECONFIG=${found.kubeconfigPath}`;
    }
    await found[Symbol.asyncDispose]();
  }
  const startMs = performance.now();
  const { version, kubeconfigPath } = await startControlPlane({ directory, inBackground: true, say });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  return `Kubernetes ${version} runs after ${seconds} s: export KUBECONFIG=${kubeconfigPath}`;
}

async function down(directory: string): Promise<string> {
  const found = attachControlPlane(directory);
  if (!found) return `There is none in ${directory}.`;
  await found[Symbol.asyncDispose]();
  return `Ended Kubernetes ${found.version} in ${directory}.`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { dir: { type: 'string' } } });
  const [command, ...rest] = positionals;
  const directory = values.dir === undefined ? undefined : resolve(values.dir);
  if (rest.length === 0 && command === 'prepare' && directory === undefined) await prepare();
  else if (rest.length === 0 && command === 'up' && directory !== undefined) say(await up(directory));
  else if (rest.length === 0 && command === 'down' && directory !== undefined) say(await down(directory));
  else {
    console.error(usage);
    return 2;
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof NoBinariesError ? 3 : 1;
}
