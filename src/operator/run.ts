import { existsSync, readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { openCluster } from '../kube/cluster/cluster.ts';
import { systemClock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Environment } from '../system/environment.ts';
import { createLog } from '../system/logger.ts';
import { systemRandom } from '../system/random.ts';
import { systemTimers } from '../system/timers.ts';
import { checkCluster } from './cluster-checks.ts';
import { type OperatorConfig, parseCommand, USAGE } from './config.ts';
import { openHealth } from './health.ts';
import { type Operator, OPERATOR_NAMESPACE, startOperator } from './operator.ts';
import { OPERATOR_RULES } from './permissions.ts';
import { failToStart, fatalHandler, refuseToStart, stopOnSignal, versionOfPackage } from './process.ts';

/** Where a pod finds the namespace it runs in. */
const POD_NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Runs `npm run operator` until it is asked to stop. Never throws. */
export async function run(environment: Environment): Promise<void> {
  const command = parseCommand(environment);
  if (command.run === 'help') console.log(USAGE);
  else if (command.run === 'refuse') refuseToStart(command.problems, USAGE);
  else await serve(command.config);
}

async function serve(config: OperatorConfig): Promise<void> {
  const podName = config['pod-name'];
  const log = createLog({ level: config.log, fields: { pod: podName } });
  const tools = { clock: systemClock(), timers: systemTimers({ keepAlive: true }), random: systemRandom(), log };
  const resources = new Disposables();
  const stop = new AbortController();
  stopOnSignal(resources, (signal) => {
    log.info({ signal }, 'stopping');
    stop.abort();
  });
  try {
    const registry = new Registry();
    let notReadyReason: Operator['notReadyReason'] = () => 'the cluster is being checked';
    const health = resources.add(
      await openHealth({
        port: config.port,
        notReadyReason: () => notReadyReason(),
        metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
        log,
      }),
    );
    const { kubeconfig: kubeconfigPath, context } = config;
    const userAgent = `lockkeeper-operator/${versionOfPackage()}`;
    const cluster = resources.add(await openCluster({ ...tools, kubeconfigPath, context, userAgent }));
    const namespace = config.namespace ?? podNamespace(config) ?? OPERATOR_NAMESPACE;
    log.info({ server: cluster.server, namespace, port: health.port }, 'starting');
    await checkCluster({ ...tools, cluster, namespace, rules: OPERATOR_RULES, signal: stop.signal });
    const { leases, authorityLeases, objects } = cluster;
    const onFatal = fatalHandler(log);
    const operator = resources.add(
      await startOperator({ ...tools, leases, authorityLeases, objects, namespace, podName, registry, onFatal }),
    );
    notReadyReason = () => operator.notReadyReason();
    await operator.serving;
    if (!stop.signal.aborted) log.info({}, 'serving');
  } catch (error) {
    if (stop.signal.aborted) return;
    await resources.dispose().catch(() => {});
    failToStart(error);
  }
}

/** The namespace of the pod whose service account is used; `undefined` outside of a pod. */
function podNamespace({ kubeconfig }: OperatorConfig): string | undefined {
  if (kubeconfig !== undefined || !existsSync(POD_NAMESPACE_FILE)) return undefined;
  return readFileSync(POD_NAMESPACE_FILE, 'utf8').trim();
}
