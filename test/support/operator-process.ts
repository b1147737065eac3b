import { type ChildProcess, spawn } from 'node:child_process';
import { ROOT } from './dev-process.ts';

/** `npm run operator` as a process of its own, with health and metrics on a free port. */
export class OperatorProcess implements AsyncDisposable {
  /** Of health and metrics. */
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess, ended: Promise<number | null>, port: number) {
    this.#process = child;
    this.#ended = ended;
    this.port = port;
  }

  /** Runs it to its end, which is expected to come by itself. */
  static async run(options: readonly string[]): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const child = spawnOperator(options);
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { exitCode, output };
  }

  /** Resolves once it answers for its health, which is before it serves; rejects with what it printed if it ends before. */
  static start(options: readonly string[]): Promise<OperatorProcess> {
    const child = spawnOperator(['--port', '0', ...options]);
    const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
    return new Promise((resolve, reject) => {
      let output = '';
      const collect = (chunk: Buffer) => {
        output += chunk.toString();
        const port = /"port":(\d+)/.exec(output)?.[1];
        if (port !== undefined) resolve(new OperatorProcess(child, ended, Number(port)));
      };
      child.stdout?.on('data', collect);
      child.stderr?.on('data', collect);
      void ended.then((code) => reject(new Error(`it ended with exit code ${code} and printed:\n${output}`)));
    });
  }

  /** The answer to a request for health or metrics. */
  async get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return { status: response.status, text: (await response.text()).trim() };
  }

  /** Resolves when `/readyz` is 200; rejects with the reason it gives if that takes a minute. */
  async ready(): Promise<void> {
    const endMs = performance.now() + 60_000;
    for (;;) {
      const { status, text } = await this.get('/readyz');
      if (status === 200) return;
      if (performance.now() > endMs) throw new Error(`it did not serve within a minute: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
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
}

function spawnOperator(options: readonly string[]): ChildProcess {
  const words = ['--disable-warning=ExperimentalWarning', 'src/operator/main.ts', ...options];
  // None of the variables that it would take its configuration from.
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, words, { cwd: ROOT, env: { PATH, HOME } });
}
