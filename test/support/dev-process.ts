import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metricOn, NodeProcess } from './node-process.ts';

export interface DevAnswer {
  readonly status: number;
  // biome-ignore lint: a test reads whatever is there
  readonly body: Record<string, any>;
}

/** `npm start` as a process of its own, on a free port. */
export class DevProcess implements AsyncDisposable {
  readonly port: number;
  /** For kubectl. */
  readonly kubeconfig: string;
  readonly #process: NodeProcess;

  private constructor(program: NodeProcess, port: number, kubeconfig: string) {
    this.#process = program;
    this.port = port;
    this.kubeconfig = kubeconfig;
  }

  /** Resolves once it serves, on a cluster if `--kubeconfig` is among the options; rejects with what it printed if it ends before. */
  static async start(options: readonly string[] = []): Promise<DevProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'lockkeeper-dev-'));
    const kubeconfig = join(directory, 'kubeconfig');
    const isOnCluster = options.includes('--kubeconfig');
    const ports = ['--port', '0', ...(isOnCluster ? [] : ['--kube-port', '0', '--write-kubeconfig', kubeconfig])];
    const program = new NodeProcess('src/dev/main.ts', [...ports, ...options]);
    const port = await program.printed((output) =>
      output.includes('Ctrl-C') ? /127\.0\.0\.1:(\d+)/.exec(output)?.[1] : undefined,
    );
    return new DevProcess(program, Number(port), kubeconfig);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Everything it has printed. */
  get output(): string {
    return this.#process.output;
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Asks it to stop, and gives its exit code. */
  stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    return this.#process.stop(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  async post(path: string, body: unknown = {}, signal?: AbortSignal): Promise<DevAnswer> {
    const response = await fetch(this.url(path), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
    return { status: response.status, body: (await response.json()) as DevAnswer['body'] };
  }

  async get(path: string): Promise<DevAnswer> {
    const response = await fetch(this.url(path));
    return { status: response.status, body: (await response.json()) as DevAnswer['body'] };
  }

  /** A metric's value, summed over its labels; 0 if it is not there. */
  async metric(name: string): Promise<number> {
    return metricOn(await (await fetch(this.url('/metrics'))).text(), name) ?? 0;
  }
}
