import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/**
 * Runs the commands of a Markdown page as a reader would and compares what they print with what the page shows.
 *
 * A fence `sh` is typed into the first terminal and waited for; a fence `text` after it is what it prints. A fence
 * `sh until=WORD` is typed again until WORD is in what it prints: it looks at what another terminal does. A fence
 * `sh terminal=2` is typed into a terminal of its own and goes on; the next fence `text terminal=2` is what it has printed by
 * then, or `text terminal=2 until=WORD` once WORD is in it. A fence `sh interrupt=2` holds nothing: it stands for Ctrl-C in that terminal.
 */
export interface Fence {
  readonly language: string;
  readonly options: Readonly<Record<string, string>>;
  readonly text: string;
  /** Line of the page on which the text begins, counted from 1. */
  readonly line: number;
}

export function fencesOf(markdown: string): Fence[] {
  const fences: Fence[] = [];
  const lines = markdown.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const opening = /^```(\w+)(.*)$/.exec(lines[index] as string);
    if (opening === null) continue;
    const end = lines.indexOf('```', index + 1);
    const options = Object.fromEntries(
      (opening[2] ?? '')
        .trim()
        .split(/\s+/)
        .filter(Boolean)
        .map((option) => option.split('=') as [string, string]),
    );
    fences.push({
      language: opening[1] as string,
      options,
      text: lines.slice(index + 1, end).join('\n'),
      line: index + 2,
    });
    index = end;
  }
  return fences;
}

/**
 * What differs from run to run, and nothing else: tokens, times, durations, ports, random owners; and how often a watch shows
 * a line that says nothing new.
 */
export function masked(output: string): string {
  return output
    .replace(/("(?:fencingToken|currentToken)":\s*")\d+"/g, '$1TOKEN"')
    .replace(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"/g, '"TIME"')
    .replace(/("(?:validForMs|renewAfterMs|heldForMs|waitedMs|retryAfterMs)":\s*)\d+/g, '$10')
    .replace(/"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"/g, '"OWNER"')
    .replace(/\b(?:held|holds it|since|for) \d+(?:\.\d+)? (?:ms|s)\b/g, 'for TIME')
    .replace(/\b\d+(?:\.\d+)? (?:ms|s|seconds|milliseconds)\b/g, 'TIME')
    .replace(/\b1[67]\d{11}(?:\d{3})?\b/g, 'TOKEN')
    .replace(/\b(?:\d+h)?(?:\d+m)?\d+s\b/g, 'AGE')
    .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replace(/((?:Resource Version|resourceVersion):\s+"?)\d+/g, '$1VERSION')
    .replace(/((?:UID|uid):\s+)[0-9a-f-]{36}/g, '$1UID')
    .replace(/ {2,}/g, '  ')
    .replace(/(localhost|127\.0\.0\.1|\[::1\]):\d+/g, '$1:PORT')
    .trimEnd()
    .split('\n')
    .filter((line, index, lines) => line === '' || line !== lines[index - 1])
    .join('\n');
}

/** One terminal: a command that may still run, and what it has printed. */
class Terminal {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  output = '';
  hasEnded = false;
  #changed: (() => void)[] = [];

  constructor(command: string, directory: string) {
    // A group of its own, so that Ctrl-C reaches what the shell started.
    this.#process = spawn('bash', ['-c', command], { cwd: directory, detached: true });
    const collect = (chunk: Buffer) => {
      this.output += chunk.toString();
      this.#notify();
    };
    this.#process.stdout.on('data', collect);
    this.#process.stderr.on('data', collect);
    this.#ended = new Promise((resolve) => {
      this.#process.on('close', () => {
        this.hasEnded = true;
        this.#notify();
        resolve();
      });
    });
  }

  ended(): Promise<void> {
    return this.#ended;
  }

  /** Resolves when the output satisfies `enough`, or the command has ended. */
  async until(enough: (output: string) => boolean): Promise<void> {
    while (!enough(this.output) && !this.hasEnded) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  interrupt(): void {
    if (this.#process.pid !== undefined && !this.hasEnded) process.kill(-this.#process.pid, 'SIGINT');
  }

  #notify(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

const PROMPT = '-- end of output --';

/** The first terminal: one shell for the whole page, so that its variables stay. */
class Shell {
  readonly #process: ChildProcessWithoutNullStreams;
  #output = '';
  #changed: () => void = () => {};

  constructor(directory: string) {
    this.#process = spawn('bash', [], { cwd: directory });
    const collect = (chunk: Buffer) => {
      this.#output += chunk.toString();
      this.#changed();
    };
    this.#process.stdout.on('data', collect);
    this.#process.stderr.on('data', collect);
  }

  /** Types a command and gives what it printed. */
  async type(command: string): Promise<string> {
    this.#output = '';
    this.#process.stdin.write(`${command}\nprintf '\\n%s\\n' '${PROMPT}'\n`);
    while (!this.#output.includes(PROMPT)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.#output.slice(0, this.#output.indexOf(PROMPT)).trimEnd();
  }

  close(): void {
    this.#process.stdin.end();
  }
}

export interface RunOptions {
  readonly directory: string;
  /** Changes a command before it runs, for example its port. */
  readonly prepare: (command: string) => string;
  /** Tells each expectation and what came instead; the caller compares. */
  readonly check: (fence: Fence, output: string) => void;
}

/** Runs the fences in order. Terminals that still run at the end are interrupted. */
export async function runFences(fences: readonly Fence[], options: RunOptions): Promise<void> {
  const terminals = new Map<string, Terminal>();
  const shell = new Shell(options.directory);
  let last = '';
  try {
    for (const fence of fences) {
      const terminal = fence.options['terminal'];
      if (fence.language === 'sh' && fence.options['interrupt'] !== undefined) {
        const interrupted = terminals.get(fence.options['interrupt']);
        interrupted?.interrupt();
        await interrupted?.ended();
      } else if (fence.language === 'sh' && terminal !== undefined) {
        terminals.set(terminal, new Terminal(options.prepare(fence.text), options.directory));
      } else if (fence.language === 'sh') {
        const word = fence.options['until'] ?? '';
        do last = await shell.type(options.prepare(fence.text));
        while (!last.includes(word));
      } else if (fence.language === 'text' && terminal !== undefined) {
        const shown = terminals.get(terminal) as Terminal;
        const lineCount = masked(fence.text).split('\n').length;
        const word = fence.options['until'] ?? '';
        await shown.until(
          (output) =>
            output.endsWith('\n') &&
            output.includes(word) &&
            (word !== '' || masked(output).split('\n').length >= lineCount),
        );
        options.check(fence, shown.output);
      } else if (fence.language === 'text') {
        options.check(fence, last);
      }
    }
  } finally {
    shell.close();
    for (const terminal of terminals.values()) terminal.interrupt();
  }
}
