import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

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
  /** Everything it has printed. */
  output: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(
    child: ChildProcess,
    ended: Promise<number | null>,
    port: number,
    output: string,
    kubeconfig: string,
  ) {
    this.kubeconfig = kubeconfig;
    this.#process = child;
    this.#ended = ended;
    this.port = port;
    this.output = output;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
    });
  }

  /** Resolves once it serves, on a cluster if `--kubeconfig` is among the options; rejects with what it printed if it ends before. */
  static start(options: readonly string[] = []): Promise<DevProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'lockkeeper-dev-'));
    const kubeconfig = join(directory, 'kubeconfig');
    const isOnCluster = options.includes('--kubeconfig');
    const ports = ['--port', '0', ...(isOnCluster ? [] : ['--kube-port', '0', '--write-kubeconfig', kubeconfig])];
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', 'src/dev/main.ts', ...ports, ...options],
      { cwd: ROOT },
    );
    const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
    return new Promise((resolve, reject) => {
      let output = '';
      const collect = (chunk: Buffer) => {
        output += chunk.toString();
        const port = /127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (port === undefined || !output.includes('Ctrl-C')) return;
        child.stdout.off('data', collect);
        child.stderr.off('data', collect);
        resolve(new DevProcess(child, ended, Number(port), output, kubeconfig));
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      void ended.then((code) => reject(new Error(`it ended with exit code ${code} and printed:\n${output}`)));
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  /** Asks it to stop, and gives its exit code. */
  async stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    this.#process.kill(signal);
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
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
    const page = await (await fetch(this.url('/metrics'))).text();
    let sum = 0;
    for (const line of page.split('\n')) {
      if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }
}
