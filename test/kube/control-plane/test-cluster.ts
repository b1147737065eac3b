/** What tests do with a cluster of any kind: call it, run kubectl on it, define our kinds, make users of few rights. */
import { execFile } from 'node:child_process';
import { HttpClient, accessFromKubeconfig } from './http.ts';
import { applyDefinitions } from './definitions.ts';

export interface TestClusterOptions {
  /** Of a user who may do everything. */
  readonly kubeconfigPath: string;
  /** Path of the program. */
  readonly kubectl: string;
  /** Where kubectl keeps what it has learnt about the cluster. Default: the user's own home. */
  readonly home?: string;
}

export interface KubectlAnswer {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

export class TestCluster {
  readonly kubeconfigPath: string;
  /** Path of the program. */
  readonly kubectlPath: string;
  /** URL of the API server. */
  readonly server: string;
  /** Calls as the user who may do everything. */
  readonly http: HttpClient;
  readonly #options: TestClusterOptions;

  constructor(options: TestClusterOptions) {
    this.#options = options;
    this.kubeconfigPath = options.kubeconfigPath;
    this.kubectlPath = options.kubectl;
    this.http = new HttpClient(accessFromKubeconfig(options.kubeconfigPath));
    this.server = this.http.access.server;
  }

  /** Runs `kubectl` to its end. `input` goes to its standard input. */
  kubectl(words: readonly string[], input = ''): Promise<KubectlAnswer> {
    const { kubectl, kubeconfigPath, home } = this.#options;
    return new Promise((resolve) => {
      const env = { ...process.env, KUBECONFIG: kubeconfigPath, ...(home && { HOME: home }) };
      const child = execFile(kubectl, [...words], { env, maxBuffer: 64 << 20 }, (error, out, errorText) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), out, error: errorText });
      });
      child.stdin?.on('error', () => {});
      child.stdin?.end(input);
    });
  }

  /** Defines the kinds of `crds/`, or brings them up to date, and resolves once the API server serves them. */
  async applyCustomResourceDefinitions(): Promise<void> {
    await applyDefinitions(this.http);
  }
}
