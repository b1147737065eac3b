import { customResourceDefinitions } from '../api/custom-resources/definitions.ts';
import { EmbeddedStore } from '../kube/embedded/embedded-store.ts';
import { Disposables } from '../system/disposables.ts';
import { objectJournal, objectsOf, openDataDirectory } from './data-directory.ts';
import { openKubeApi } from './kube-api.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { DEV_NAMESPACE, type Place, type Tools } from './place.ts';
import { objectOf } from './resources.ts';
import { saveHolds, takeSavedHolds } from './saved-holds.ts';

export interface EmbeddedPlaceOptions extends Tools {
  /** Keeps objects over restarts; `undefined`: in memory only. */
  readonly dataDirectory: string | undefined;
  /** Port of the embedded Kubernetes API; 0 takes any free one. */
  readonly kubePort: number;
  /** Where to write the kubeconfig for it. */
  readonly kubeconfigPath: string;
}

/** An embedded Kubernetes API in this process, which begins empty or as a data directory left it. */
export async function openEmbeddedPlace(options: EmbeddedPlaceOptions): Promise<Place> {
  const { dataDirectory, kubePort, kubeconfigPath, clock, timers, random, log } = options;
  const resources = new Disposables();
  const data = dataDirectory === undefined ? undefined : await openDataDirectory({ path: dataDirectory, timers });
  if (data !== undefined) resources.add(data.directory);
  try {
    const store = resources.add(
      new EmbeddedStore({
        clock,
        random,
        customResourceDefinitions: customResourceDefinitions(),
        ...(data === undefined
          ? {}
          : {
              journal: objectJournal(data.directory),
              initial: { objects: objectsOf(data.content), resourceVersion: data.content.resourceVersion },
            }),
      }),
    );
    return {
      leases: store.leases,
      objects: store,
      podName: 'dev',
      // The data directory lets one process in at a time, and a store in memory begins empty: no predecessor can be alive.
      isKnownDead: () => true,
      initial: [objectOf('LockPool', `${DEV_NAMESPACE}/default`)],
      takeSavedSession: async () => data && takeSavedHolds(data.directory, data.content),
      saveSession: async (session) => data && saveHolds(data.directory, session),
      publish: async () => {
        const api = await openKubeApi({ store, port: kubePort, clock, timers, log });
        await writeKubeconfig(kubeconfigPath, api.port);
        return api;
      },
      description:
        data === undefined
          ? 'Locks are kept in memory only; --data DIR keeps them across restarts.'
          : `Locks are kept in ${data.directory.file}.`,
      kubeconfigPath,
      [Symbol.asyncDispose]: () => resources.dispose(),
    };
  } catch (error) {
    await resources.dispose();
    throw error;
  }
}
